package server

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"baro.dev/internal/clients"
)

var (
	errFull     = errors.New("as many clients as allowed are connected")
	errDraining = errors.New("the server is stopping")
)

// slots counts what is open for long: streams, waiting polls, WebSockets and sessions of Socket.IO.
type slots struct {
	hosts *hosts

	mu    sync.Mutex
	max   int
	used  int
	empty chan struct{} // made when draining; closed when none is used
}

// take takes a slot for a client, whose address is a. It is for give.
func (s *slots) take(a netip.Addr) (from *host, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.empty != nil:
		return nil, errDraining
	case s.used >= s.max:
		return nil, errFull
	}
	from, beyond := s.hosts.enter(a, ofClients)
	if beyond > 0 {
		s.hosts.leave(from, ofClients)
		return nil, clients.ErrOfAddress
	}
	s.used++
	return from, nil
}

// room says whether take would take a slot.
func (s *slots) room(a netip.Addr) error {
	from, err := s.take(a)
	if err == nil {
		s.give(from)
	}
	return err
}

func (s *slots) give(from *host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts.leave(from, ofClients)
	s.used--
	if s.used == 0 && s.empty != nil {
		close(s.empty)
	}
}

// count is how many there are.
func (s *slots) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// bound sets how many there may be from now on.
func (s *slots) bound(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max = most
}

// drain refuses new clients from now on.
func (s *slots) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empty != nil {
		return
	}
	s.empty = make(chan struct{})
	if s.used == 0 {
		close(s.empty)
	}
}

// wait waits until the last client is gone. It comes after drain.
func (s *slots) wait(ctx context.Context) error {
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
