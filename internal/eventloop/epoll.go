//go:build linux

package eventloop

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// epoll is the Kernel that is really there.
//
// System calls that never wait are made without telling Go's scheduler (RawSyscall): that costs nothing, and holds up
// nobody for longer than it takes to copy a buffer. To wait, the epoll descriptor is watched by Go's own poller like any
// other, so that a loop that waits is a parked goroutine and holds neither a thread nor the right to run Go code.
type epoll struct {
	fd    int
	file  *os.File // of fd
	raw   syscall.RawConn
	armed time.Time // the deadline that is set

	// What Park is called with and returns, so that its callback is bound once.
	events []Event
	found  int
	poll   func(uintptr) bool

	mu     sync.Mutex
	wakeFd int // an eventfd; -1 after Release
}

// eventfd2's flags, which package syscall does not have.
const (
	efdNonblock = syscall.O_NONBLOCK
	efdCloexec  = syscall.O_CLOEXEC
)

// NewEpoll returns a Kernel over a new epoll instance.
func NewEpoll() (Kernel, error) {
	k, err := newEpoll()
	if err != nil {
		return nil, err
	}
	if err := k.start(); err != nil {
		k.Release()
		return nil, err
	}
	return k, nil
}

func newEpoll() (*epoll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventloop: epoll_create1: %w", err)
	}
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, efdNonblock|efdCloexec, 0)
	if errno != 0 {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("eventloop: eventfd2: %w", errno)
	}
	return &epoll{fd: fd, wakeFd: int(wake)}, nil
}

func (k *epoll) start() (err error) {
	if err := syscall.SetNonblock(k.fd, true); err != nil { // package os watches only such files
		return fmt.Errorf("eventloop: fcntl: %w", err)
	}
	k.file = os.NewFile(uintptr(k.fd), "epoll")
	if k.raw, err = k.file.SyscallConn(); err != nil {
		return fmt.Errorf("eventloop: %w", err)
	}
	if err := k.file.SetReadDeadline(time.Time{}); err != nil { // not watched after all
		return fmt.Errorf("eventloop: %w", err)
	}
	k.poll = func(uintptr) bool {
		k.found = k.Poll(k.events)
		return k.found > 0
	}
	return k.Add(k.wakeFd)
}

func (k *epoll) Poll(events []Event) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(k.fd),
			uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno == 0 {
			return int(n)
		}
		if errno != syscall.EINTR {
			panic(fmt.Sprintf("eventloop: epoll_pwait: %v", errno)) // only for a bad descriptor or address
		}
	}
}

func (k *epoll) Park(events []Event, deadline time.Time) int {
	if !deadline.Equal(k.armed) {
		// A deadline that is too early costs a round, one set anew for each round more.
		if k.armed.IsZero() || deadline.Before(k.armed) || !k.armed.After(time.Now()) {
			k.armed = deadline
			_ = k.file.SetReadDeadline(deadline)
		}
	}
	k.events, k.found = events, 0
	_ = k.raw.Read(k.poll) // an error is the deadline's
	return k.found
}

func (k *epoll) Wake() {
	one := uint64(1)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wakeFd >= 0 {
		// Its events come with every write, whether or not anybody has read (EPOLLET): nobody does.
		_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(k.wakeFd), uintptr(unsafe.Pointer(&one)), 8)
	}
}

func (k *epoll) Release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = syscall.Close(k.wakeFd)
	k.wakeFd = -1
	if k.file != nil {
		k.file.Close()
	} else {
		_ = syscall.Close(k.fd)
	}
}

func (k *epoll) Add(fd int) error {
	if errno := k.control(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN); errno != 0 {
		return fmt.Errorf("eventloop: epoll_ctl: %w", errno)
	}
	return nil
}

func (k *epoll) WatchRoom(fd int) {
	_ = k.control(syscall.EPOLL_CTL_MOD, fd, syscall.EPOLLIN|syscall.EPOLLOUT)
}

func (k *epoll) Remove(fd int) { _ = k.control(syscall.EPOLL_CTL_DEL, fd, 0) }

func (k *epoll) control(op uintptr, fd int, events uint32) syscall.Errno {
	event := Event{Events: events | syscall.EPOLLRDHUP | edgeTriggered, Fd: int32(fd)}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(k.fd), op, uintptr(fd),
		uintptr(unsafe.Pointer(&event)), 0, 0)
	return errno
}

// edgeTriggered is EPOLLET, which package syscall has as a negative number.
const edgeTriggered = 1 << 31

func (k *epoll) Read(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, errno := receive(fd, p)
		if errno == 0 {
			return n, 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

func (k *epoll) Write(fd int, head, tail []byte) (int, syscall.Errno) {
	for {
		var n int
		var errno syscall.Errno
		if len(tail) == 0 {
			n, errno = send(fd, head)
		} else {
			n, errno = gather(fd, head, tail)
		}
		if errno == 0 {
			return n, 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

func gather(fd int, head, tail []byte) (int, syscall.Errno) {
	vectors := [2]syscall.Iovec{{Base: &head[0]}, {Base: &tail[0]}}
	vectors[0].SetLen(len(head))
	vectors[1].SetLen(len(tail))
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vectors[0])), 2)
	return int(n), errno
}

func (k *epoll) Shutdown(fd int) { _ = syscall.Shutdown(fd, syscall.SHUT_WR) }

func (k *epoll) Close(fd int) { _, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }
