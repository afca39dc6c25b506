//go:build linux

package eventloop

import (
	"syscall"
	"time"
)

// Kernel is what a loop asks of the operating system: an interface, so that a test can put a simulated one with as many
// descriptors as it likes in its place. Poll and Park are the loop's own to call; the other methods may be called from
// anywhere, but those on a descriptor not after Close.
type Kernel interface {
	// Poll puts the events that have come into events, without waiting, and returns how many.
	Poll(events []Event) int
	// Park is Poll, but waits until there are events, or Wake is called, or the deadline has passed; the zero time is
	// none. It may return early.
	Park(events []Event, deadline time.Time) int
	// Wake makes Park return, now or when it is called next.
	Wake()
	// Release gives back what the Kernel itself holds. Nothing is called after it but Wake, which does nothing.
	Release()

	// Add has it reported when there is something to read on fd, or its end: once, when it comes about (EPOLLET).
	Add(fd int) error
	// WatchRoom has it reported, too, when there is room to write: at once if there is, and then when it comes about.
	WatchRoom(fd int)
	// Read and Write never wait. head and tail leave as one; tail may be empty.
	Read(fd int, p []byte) (int, syscall.Errno)
	Write(fd int, head, tail []byte) (int, syscall.Errno)
	// Remove has the events of fd reported no more.
	Remove(fd int)
	// Shutdown ends the writing side of fd.
	Shutdown(fd int)
	// Close closes fd. No more of its events are reported.
	Close(fd int)
}

// Event is an event of a descriptor: its Fd and the bits of epoll(7).
type Event = syscall.EpollEvent

const (
	hungUp   = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	readable = syscall.EPOLLIN | hungUp
	writable = syscall.EPOLLOUT | syscall.EPOLLHUP | syscall.EPOLLERR
)
