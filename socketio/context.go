package socketio

import (
	"context"
	"time"
)

// socketContext is a socket as a context. It is done when the socket is disconnected.
type socketContext Socket

type socketKey struct{}

// Context returns a context that is done when the socket is disconnected; its cause is then ErrDisconnected. It has the values
// of Options.Context, and so have the contexts of handlers.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }

// SocketOf returns the socket whose handler has been given ctx, or a context made from it; nil if there is none.
func SocketOf(ctx context.Context) *Socket {
	s, _ := ctx.Value(socketKey{}).(*Socket)
	return s
}

func (c *socketContext) socket() *Socket { return (*Socket)(c) }

func (c *socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (c *socketContext) Done() <-chan struct{} { return c.inner().Done() }

func (c *socketContext) Err() error {
	if c.socket().gone() {
		return context.Canceled
	}
	return nil
}

func (c *socketContext) Value(key any) any {
	if _, ok := key.(socketKey); ok {
		return c.socket()
	}
	if m := c.more.Load(); c.socket().gone() || m != nil && m.waited.Load() {
		return c.inner().Value(key) // package context finds the cause so, and those made from it
	}
	return c.values().Value(key)
}

// values is what Options.Context has given.
func (c *socketContext) values() context.Context {
	if c.client.values == nil {
		return context.Background()
	}
	return c.client.values
}

func (c *socketContext) String() string { return "socketio.Socket(" + c.id + ")" }

// gone reports whether nothing reaches the client any more.
func (s *Socket) gone() bool { return s.state.Load() == ended || s.client.lost.Load() }

// inner returns the context of package context that ends with the socket. Most sockets have none, since nobody waits.
func (c *socketContext) inner() context.Context {
	m := c.socket().extra()
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.ctx == nil {
		m.ctx, m.cancel = context.WithCancelCause(c.values())
		m.waited.Store(true)
		if c.socket().gone() {
			m.cancel(ErrDisconnected)
		}
	}
	return m.ctx
}

// interrupt ends what waits for the client: it has gone.
func (s *Socket) interrupt() {
	m := s.more.Load()
	if m == nil {
		return
	}
	s.mu.Lock()
	cancel := m.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(ErrDisconnected)
	}
}
