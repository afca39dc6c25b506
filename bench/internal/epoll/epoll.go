//go:build linux

// Package epoll is epoll, recv and send with nothing added: no runtime poller, and no word to the scheduler.
package epoll

import (
	"syscall"
	"unsafe"
)

// What to wait for, and what has come.
const (
	In    = syscall.EPOLLIN
	Out   = syscall.EPOLLOUT
	Error = syscall.EPOLLERR | syscall.EPOLLHUP
)

// Poller is an epoll descriptor, level-triggered. It is for one goroutine.
type Poller struct {
	fd     int
	events []syscall.EpollEvent
}

// New returns a poller that hands out up to n events at a time.
func New(n int) (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &Poller{fd, make([]syscall.EpollEvent, n)}, err
}

// Close releases the descriptor.
func (p *Poller) Close() { Close(p.fd) }

// Add watches fd; its events carry id.
func (p *Poller) Add(fd, id int, events uint32) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(id)})
}

// Modify changes what fd is watched for.
func (p *Poller) Modify(fd, id int, events uint32) error {
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &syscall.EpollEvent{Events: events, Fd: int32(id)})
}

// Wait waits for events, at most so many milliseconds. The id of an event is in its field Fd. Go's scheduler is not
// told, so what else runs on this thread's P, and the garbage collector, wait as well.
func (p *Poller) Wait(milliseconds int) ([]syscall.EpollEvent, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(milliseconds), 0, 0)
	switch errno {
	case 0:
		return p.events[:n], nil
	case syscall.EINTR:
		return nil, nil
	}
	return nil, errno
}

// Close closes a descriptor.
func Close(fd int) { _ = syscall.Close(fd) }

// Read reads from a socket, without waiting. recv(2) takes a shorter way through the kernel than read(2).
func Read(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// Write writes to a socket, without waiting. It may write less than all of b.
func Write(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
