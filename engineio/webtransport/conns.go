package webtransport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// conn is a connection of a client.
type conn struct {
	server *Server
	quic   *quic.Conn    // nil while it is to be admitted
	shaken func()        // its handshake is over; may be called more than once
	idle   *time.Timer   // nil: it may be idle for ever
	limit  time.Duration // how long it may be idle

	// Server.mu guards the rest.
	requests int // that are being served
	last     time.Time
}

type connKey struct{}

// connOf is what admit has made of c.
func connOf(c *quic.Conn) *conn { return c.Context().Value(connKey{}).(*conn) }

// settle is how long what has been answered may take to arrive before its connection ends, besides some round trips: nothing
// tells when it has.
const settle = 100 * time.Millisecond

// admit is a quic.Transport's ConnContext. Who is refused is told so.
func (s *Server) admit(ctx context.Context, client *quic.ClientInfo) (context.Context, error) {
	s.mu.Lock()
	draining := s.draining
	s.mu.Unlock()
	if draining {
		return nil, http.ErrServerClosed
	}
	if s.Admit != nil {
		if err := s.Admit(ctx, client); err != nil {
			return nil, err
		}
	}
	s.shaking.Add(1)
	c := &conn{server: s, shaken: sync.OnceFunc(func() { s.shaking.Add(-1) })}
	context.AfterFunc(ctx, c.shaken)
	return context.WithValue(ctx, connKey{}, c), nil
}

// serve serves a connection, whose handshake need not be over, until it ends.
func (s *Server) serve(q *quic.Conn) {
	c := connOf(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.quic, c.last = q, time.Now()
	if s.closed || s.draining {
		c.close()
		return
	}
	if s.conns == nil {
		s.conns = map[*conn]struct{}{}
	}
	s.conns[c] = struct{}{}
	if c.limit = s.HTTP3.IdleTimeout; c.limit > 0 {
		c.idle = time.AfterFunc(c.limit, c.expire)
	}
	s.serving.Go(func() {
		select {
		case <-q.HandshakeComplete():
			c.shaken()
		case <-q.Context().Done():
		}
	})
	s.serving.Go(func() {
		defer s.gone(c)
		if err := s.wt.ServeQUICConn(q); err != nil && s.HTTP3.Logger != nil {
			s.HTTP3.Logger.Debug("serving a connection", "remote", q.RemoteAddr(), "error", err)
		}
	})
}

// gone forgets a connection that has ended.
func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.idle != nil {
		c.idle.Stop()
	}
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// begin reports whether a request is to be served; then end has to be called.
func (c *conn) begin() bool {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	c.requests++
	return true
}

func (c *conn) end() {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	c.requests--
	c.last = time.Now()
	switch {
	case c.requests > 0:
	case s.draining:
		s.leave(c)
	case c.idle != nil:
		c.idle.Reset(c.limit)
	}
}

// expire closes a connection that has been idle for too long.
func (c *conn) expire() {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.requests == 0 && time.Since(c.last) >= c.limit {
		c.close()
	}
}

// close closes a connection without waiting for that: quic-go does.
func (c *conn) close() {
	go func() { _ = c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") }()
}

// leave closes a connection that has no requests any more, when the last answer has had time to arrive. Server.mu is held.
func (s *Server) leave(c *conn) {
	rest := settle + 4*c.quic.ConnectionStats().SmoothedRTT - time.Since(c.last)
	if rest <= 0 {
		c.close()
		return
	}
	time.AfterFunc(rest, c.close)
}

// Shutdown refuses new connections and requests, and closes each connection when its requests have been answered and its
// sessions of WebTransport have ended. It is for engineio.Server.Shutdown, which ends the sessions. When ctx is done, what is left
// is cut, and Shutdown returns context.Cause(ctx).
//
// The libraries below send no GOAWAY (RFC 9114 5.2): a client learns that the server stops by the end of its connection, or of the
// requests that come too late, as H3_REQUEST_REJECTED, by which it knows that they can be sent again.
func (s *Server) Shutdown(ctx context.Context) error {
	empty := make(chan struct{})
	s.mu.Lock()
	s.draining = true
	if s.empty != nil {
		empty = s.empty // of another Shutdown
	} else if len(s.conns) == 0 {
		close(empty)
	} else {
		s.empty = empty
	}
	for c := range s.conns {
		if c.requests == 0 {
			s.leave(c)
		}
	}
	s.mu.Unlock()
	select {
	case <-empty:
		return s.Close()
	case <-ctx.Done():
		_ = s.Close()
		return context.Cause(ctx)
	}
}

// Close ends all connections at once, and waits until their requests have been served.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed, s.draining = true, true
	var closing sync.WaitGroup
	for c := range s.conns {
		closing.Go(func() { _ = c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") })
	}
	transports := s.transports
	s.transports = nil
	s.mu.Unlock()
	closing.Wait() // before the sockets are: each client is told
	for t := range transports {
		_ = t.Close()
	}
	s.serving.Wait()
	return s.wt.Close()
}

// begin reports whether the server is to serve what arrives at t; then end has to be called.
func (s *Server) begin(t *quic.Transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.draining {
		return false
	}
	if s.transports == nil {
		s.transports = map[*quic.Transport]struct{}{}
	}
	s.transports[t] = struct{}{}
	s.serving.Add(1)
	return true
}

func (s *Server) end(t *quic.Transport) {
	_ = t.Close()
	s.mu.Lock()
	delete(s.transports, t)
	s.mu.Unlock()
	s.serving.Done()
}
