package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// unheard are connections of TCP whose first request was not answered yet. An [http.Server] that shuts down cuts those whose request it has
// not begun with, be it on its way or read; who was let in shall have an answer.
type unheard struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	none  chan struct{} // made by wait; closed when there is none
}

// unheardFor is how long a server that stops waits for them. Some, opened in advance, never say anything; others are streams.
const unheardFor = time.Second

// changed is for [http.Server.ConnState].
func (u *unheard) changed(conn net.Conn, state http.ConnState) {
	if state == http.StateActive {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if state == http.StateNew {
		if u.conns == nil {
			u.conns = make(map[net.Conn]struct{})
		}
		u.conns[conn] = struct{}{}
		return
	}
	delete(u.conns, conn)
	if u.none != nil && len(u.conns) == 0 {
		close(u.none)
		u.none = nil
	}
}

// wait waits until there are none, or ctx is done. It is called once at a time.
func (u *unheard) wait(ctx context.Context) {
	u.mu.Lock()
	if len(u.conns) == 0 {
		u.mu.Unlock()
		return
	}
	none := make(chan struct{})
	u.none = none
	u.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

// connectionChanged is for [http.Server.ConnState].
func (s *Server) connectionChanged(conn net.Conn, state http.ConnState) {
	s.unheard.changed(conn, state)
	s.connections.changed(conn, state)
}

// shutdownHTTP accepts no more connections, and waits until the requests of all are answered, or ctx is done.
func (s *Server) shutdownHTTP(ctx context.Context) error {
	if s.listener != nil {
		_ = s.listener.Close()
	}
	heard, cancel := context.WithTimeout(ctx, unheardFor)
	defer cancel()
	s.accepting.Lock() // until the last one that was accepted is known
	defer s.accepting.Unlock()
	s.unheard.wait(heard)
	return s.http.Shutdown(ctx)
}

// meant says whether accepting ended because it should.
func (s *Server) meant(err error) bool {
	return errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) && s.draining.Err() != nil
}
