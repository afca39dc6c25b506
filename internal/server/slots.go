package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

var (
	errFull     = errors.New("as many clients as allowed are connected")
	errDraining = errors.New("the server is stopping")
)

// slots counts what is open for long: streams, waiting polls and WebSockets.
type slots struct {
	mu    sync.Mutex
	max   int
	used  int
	empty chan struct{} // made when draining; closed when none is used
}

func (s *slots) take() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.empty != nil:
		return errDraining
	case s.used >= s.max:
		return errFull
	}
	s.used++
	return nil
}

func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
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

// connections counts connections: those of TCP by the hooks of [http.Server], those of QUIC before their handshake. TCP
// connections beyond the bound are told so by an answer to their request, as long as they are not too many themselves; those of QUIC
// are refused, upon which clients try TCP.
type connections struct {
	max  int64
	open atomic.Int64
	last atomic.Uint64 // the id of the last one
}

// reserve is how many connections beyond the bound are answered rather than closed at once.
const reserve = 64

// connection is what requests know of theirs.
type connection struct {
	id          uint64 // for the log
	plain       bool   // without TLS
	beyondBound bool   // there are too many
}

type connectionKey struct{}

// connectionOf is the connection of a request.
func connectionOf(ctx context.Context) connection {
	c, _ := ctx.Value(connectionKey{}).(connection)
	return c
}

// accepted is for [http.Server.ConnContext]: it comes before changed.
func (c *connections) accepted(ctx context.Context, conn net.Conn) context.Context {
	k := connection{id: c.last.Add(1)}
	_, k.plain = conn.(*net.TCPConn)
	k.beyondBound = c.open.Add(1) > c.max
	return context.WithValue(ctx, connectionKey{}, k)
}

// changed is for [http.Server.ConnState].
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if c.open.Load() > c.max+reserve {
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		// A hijacked connection is a WebSocket: it has a slot.
		c.open.Add(-1)
	}
}

// admit is for a QUIC connection, which ctx ends with.
func (c *connections) admit(ctx context.Context) error {
	if c.open.Add(1) > c.max {
		c.open.Add(-1)
		return errFull
	}
	context.AfterFunc(ctx, func() { c.open.Add(-1) })
	return nil
}

func isBeyondBound(r *http.Request) bool {
	return connectionOf(r.Context()).beyondBound
}
