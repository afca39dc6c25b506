//go:build linux

package eventlooptest

import (
	"syscall"
	"time"

	"baro.dev/internal/eventloop"
)

// kernel is an epoll instance of the system: edge-triggered, so that what is true of a socket is said once after each
// change.
type kernel struct {
	sys      *System
	queue    []*Socket // those of which something is to be said
	first    int       // of the queue; it has been said of those before
	wakeFd   int32
	woken    bool
	parked   bool
	released bool
	deadline time.Time
}

// due reports whether Park has something to return for. mu is held.
func (k *kernel) due() bool { return k.first < len(k.queue) || k.woken || passed(k.deadline) }

func (k *kernel) Poll(events []eventloop.Event) int {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	for k.sys.paused {
		k.sys.changed.Wait()
	}
	return k.harvest(events)
}

func (k *kernel) Park(events []eventloop.Event, deadline time.Time) int {
	s := k.sys
	s.mu.Lock()
	defer s.mu.Unlock()
	k.parked, k.deadline = true, deadline
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), s.notify)
		defer timer.Stop()
	}
	for s.paused || !k.due() {
		s.rested.Broadcast()
		s.changed.Wait()
	}
	k.parked, k.deadline = false, time.Time{}
	return k.harvest(events)
}

// harvest takes events off the queue. mu is held.
func (k *kernel) harvest(events []eventloop.Event) (n int) {
	if k.woken {
		k.woken = false
		events[n] = eventloop.Event{Events: syscall.EPOLLIN, Fd: k.wakeFd}
		n++
	}
	if shuffle := k.sys.Shuffle; shuffle != nil {
		waiting := k.queue[k.first:]
		shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
	}
	for ; k.first < len(k.queue) && n < len(events); k.first++ {
		c := k.queue[k.first]
		k.queue[k.first] = nil
		if c.closed || c.kernel != k {
			continue
		}
		c.queued = false
		if bits := c.events(); bits != 0 {
			events[n] = eventloop.Event{Events: bits, Fd: c.fd}
			n++
		}
	}
	if k.first == len(k.queue) {
		k.queue, k.first = k.queue[:0], 0
	}
	return n
}

func (k *kernel) Wake() {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	if !k.released {
		k.woken = true
		k.sys.changed.Broadcast()
	}
}

func (k *kernel) Release() {
	s := k.sys
	s.mu.Lock()
	defer s.mu.Unlock()
	k.released = true
	s.free = append(s.free, k.wakeFd)
	for i := range s.kernels {
		if s.kernels[i] == k {
			s.kernels = append(s.kernels[:i], s.kernels[i+1:]...)
			break
		}
	}
	s.rested.Broadcast()
}

// socket returns the socket of a descriptor, nil if there is none. mu is held.
func (k *kernel) socket(fd int) *Socket {
	if i := fd - k.sys.First; i >= 0 && i < len(k.sys.sockets) && k.sys.sockets[i] != nil {
		return k.sys.sockets[i]
	}
	k.sys.misuse++
	return nil
}

func (k *kernel) Add(fd int) error {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	c := k.socket(fd)
	switch {
	case c == nil:
		return syscall.EBADF
	case c.kernel == k:
		k.sys.misuse++
		return syscall.EEXIST
	}
	c.kernel = k
	c.wake()
	return nil
}

func (k *kernel) WatchRoom(fd int) {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	if c := k.socket(fd); c != nil && c.kernel == k {
		c.watched = true
		c.wake()
	} else if c != nil {
		k.sys.misuse++
	}
}

func (k *kernel) Remove(fd int) {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	if c := k.socket(fd); c != nil {
		c.kernel, c.queued, c.watched = nil, false, false
	}
}

func (k *kernel) Read(fd int, p []byte) (int, syscall.Errno) {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	if c := k.socket(fd); c != nil {
		return c.read(p)
	}
	return 0, syscall.EBADF
}

func (k *kernel) Write(fd int, head, tail []byte) (int, syscall.Errno) {
	s := k.sys
	s.mu.Lock()
	defer s.mu.Unlock()
	c := k.socket(fd)
	if c != nil && s.BeforeWrite != nil {
		s.mu.Unlock()
		s.BeforeWrite(c)
		s.mu.Lock()
		c = k.socket(fd)
	}
	if c == nil {
		return 0, syscall.EBADF
	}
	n, errno := c.write(head, tail)
	if c.short && s.AfterShort != nil {
		s.mu.Unlock()
		s.AfterShort(c)
		s.mu.Lock()
	}
	return n, errno
}

func (k *kernel) Shutdown(fd int) {
	k.sys.mu.Lock()
	defer k.sys.mu.Unlock()
	if c := k.socket(fd); c != nil {
		c.shut = true
		if c.ended {
			c.wake() // hung up, both ways
		}
	}
}

func (k *kernel) Close(fd int) {
	s := k.sys
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := k.socket(fd); c != nil {
		c.closed, c.in, c.kernel = true, nil, nil
		s.sockets[fd-s.First] = nil
		s.free = append(s.free, int32(fd))
	}
}
