//go:build linux

package eventloop

import (
	"math"
	"syscall"
	"time"
	"unsafe"
)

// Waiter is a Kernel for one goroutine that is seldom idle and has a thread of its own: that waits in the kernel, which costs less than
// parking, and ends to some microseconds when it is to. It can wait for plenty, but not by Park.
type Waiter struct{ *epoll }

// NewWaiter returns a Waiter over a new epoll instance. Go's own poller does not know of it, and is not woken by what comes.
func NewWaiter() (Waiter, error) {
	k, err := newEpoll()
	if err != nil {
		return Waiter{}, err
	}
	if err := k.Add(k.wakeFd); err != nil {
		k.Release()
		return Waiter{}, err
	}
	return Waiter{k}, nil
}

// long is how long a wait is of which Go's scheduler is told: to have the place of a thread given to others, and given back, costs more
// than a short one.
const long = time.Millisecond

// Wait puts the events that have come into events and returns how many. It waits until there are some, or Wake is called, or so long. It
// may return early.
func (w Waiter) Wait(events []Event, d time.Duration) int {
	timeout := timespecOf(min(d, long))
	n, _, errno := syscall.RawSyscall6(sysEpollPwait2, uintptr(w.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno == 0 && n == 0 && d > long {
		timeout = timespecOf(d - long)
		n, _, errno = syscall.Syscall6(sysEpollPwait2, uintptr(w.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
			uintptr(unsafe.Pointer(&timeout)), 0, 0)
	}
	switch errno {
	case 0:
		return int(n)
	case syscall.ENOSYS, syscall.EPERM: // the kernel, or a filter of system calls, is too old
		return w.waitMilliseconds(events, d)
	}
	return 0 // EINTR
}

func (w Waiter) waitMilliseconds(events []Event, d time.Duration) int {
	milliseconds := min((max(d, 0)+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
	n, _, errno := syscall.Syscall6(syscall.SYS_EPOLL_PWAIT, uintptr(w.fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(milliseconds), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// sysEpollPwait2 is the number of epoll_pwait2(2), the same on all architectures but MIPS, which has no call of this number.
const sysEpollPwait2 = 441

// timespecOf is struct __kernel_timespec, which has 64 bits for each on every system.
func timespecOf(d time.Duration) [2]int64 {
	d = max(d, 0)
	return [2]int64{int64(d / time.Second), int64(d % time.Second)}
}
