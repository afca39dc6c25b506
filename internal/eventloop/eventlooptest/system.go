//go:build linux

// Package eventlooptest simulates the operating system below an eventloop.Group: as many descriptors as a test likes,
// peers that do what it says, and loops that stand still until it lets them go.
package eventlooptest

import (
	"sync"
	"time"

	"baro.dev/internal/eventloop"
)

// System is a simulated operating system. The fields are set before it is used. All methods may be called from any
// goroutine.
type System struct {
	// First is the first descriptor's number. One that the process cannot have is for who might use it for real.
	First int
	// Capacity is how many sockets the system has room for without allocating any more, for those who weigh what runs
	// on it.
	Capacity int
	// Err is what NewKernel fails with; nil: it does not.
	Err error
	// Sink, if set, is called with what is written, instead of keeping it. The bytes are lent. It must not call
	// anything of the System's.
	Sink func(s *Socket, p []byte)
	// BeforeWrite, if set, is called before each write to s, without any lock held.
	BeforeWrite func(s *Socket)
	// AfterShort, if set, is called after each write to s that was cut short, without any lock held.
	AfterShort func(s *Socket)
	// Shuffle, if set, puts the n events that have come into another order (rand.Shuffle).
	Shuffle func(n int, swap func(i, j int))

	mu      sync.Mutex
	changed sync.Cond // for kernels that wait
	rested  sync.Cond // for Pause
	sockets []*Socket // by descriptor, from First on; nil: not open
	free    []int32   // descriptors there have been that are not open; the last is taken first
	kernels []*kernel
	paused  bool
	misuse  int
}

// New returns a system in which nothing is open, and whose loops run.
func New() *System {
	s := &System{}
	s.changed.L = &s.mu
	s.rested.L = &s.mu
	return s
}

// NewKernel returns a kernel; it is for eventloop.NewGroup.
func (s *System) NewKernel() (eventloop.Kernel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Err != nil {
		return nil, s.Err
	}
	k := &kernel{sys: s, wakeFd: s.number(nil), queue: make([]*Socket, 0, s.Capacity)}
	s.kernels = append(s.kernels, k)
	return k, nil
}

// number returns the descriptor that was closed last, so that numbers are used again as soon as can be.
func (s *System) number(socket *Socket) int32 {
	if n := len(s.free) - 1; n >= 0 {
		fd := s.free[n]
		s.free = s.free[:n]
		s.sockets[int(fd)-s.First] = socket
		return fd
	}
	if s.sockets == nil {
		s.sockets, s.free = make([]*Socket, 0, s.Capacity), make([]int32, 0, s.Capacity)
	}
	s.sockets = append(s.sockets, socket)
	return int32(s.First + len(s.sockets) - 1)
}

// Open returns a new connection, which takes whatever is written to it.
func (s *System) Open() *Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Socket{sys: s, room: Unlimited}
	c.fd = s.number(c)
	return c
}

// Kernels returns how many kernels there are that have not been released.
func (s *System) Kernels() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kernels)
}

// Opened returns how many sockets are open on this side.
func (s *System) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets) - len(s.free) - len(s.kernels)
}

// Misuse returns how often a descriptor was used that was not open.
func (s *System) Misuse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.misuse
}

// Pause waits until every loop waits for events and there are none, and holds them all there. A loop that starts
// meanwhile does not get as far as its first turn.
func (s *System) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.resting() {
		s.rested.Wait()
	}
	s.paused = true
}

// Resume lets the loops go.
func (s *System) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = false
	s.changed.Broadcast()
}

// Run lets the loops go until there is nothing more for them to do.
func (s *System) Run() {
	s.Resume()
	s.Pause()
}

func (s *System) resting() bool {
	if s.paused {
		return true
	}
	for _, k := range s.kernels {
		if !k.parked || k.due() {
			return false
		}
	}
	return true
}

// notify has those who wait look again.
func (s *System) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// passed reports whether a deadline has.
func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}
