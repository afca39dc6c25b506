package socketio

import (
	"context"
	"time"
)

// socketContext is a socket as a context. It is done when the socket is disconnected.
type socketContext Socket

type socketKey struct{}

// Context returns a context that is done when the socket is disconnected; its cause is then ErrDisconnected.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }

// SocketOf returns the socket whose handler has been given ctx, or a context made from it; nil if there is none.
func SocketOf(ctx context.Context) *Socket {
	s, _ := ctx.Value(socketKey{}).(*Socket)
	return s
}

func (c *socketContext) socket() *Socket { return (*Socket)(c) }

func (c *socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *socketContext) Done() <-chan struct{} { return c.socket().done() }

func (c *socketContext) Err() error {
	if s := c.socket(); s.state.Load() == ended || s.client.lost.Load() {
		return context.Canceled
	}
	return nil
}

func (c *socketContext) Value(key any) any {
	if _, ok := key.(socketKey); ok {
		return c.socket()
	}
	return nil
}

func (c *socketContext) String() string { return "socketio.Socket(" + c.id + ")" }

// done returns a channel that is closed when the socket is disconnected.
func (s *Socket) done() <-chan struct{} {
	m := s.extra()
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.done == nil {
		m.done = make(chan struct{})
		if s.state.Load() == ended || s.client.lost.Load() {
			m.gone = true
			close(m.done)
		}
	}
	return m.done
}

// interrupt ends what waits for the client: it has gone.
func (s *Socket) interrupt() {
	m := s.more.Load()
	if m == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.done != nil && !m.gone {
		m.gone = true
		close(m.done)
	}
}
