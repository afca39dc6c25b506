package server

import (
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/engineio"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

// cast is a message on its way to all WebSockets of one server that get it in one form. Their event loops send it, so that what is
// published in quick succession leaves in one write for each.
type cast struct {
	server  *ws.Server
	message *ws.PreparedMessage
	to      []*ws.Socket
	counted
}

// counted is what metrics are told of a message.
type counted struct {
	metrics   *metrics.Metrics
	transport metrics.Transport
	measured  *channel.Message // nil: its time is not of interest
}

// count begins to count m.
func (s *Server) count(t metrics.Transport, m *channel.Message) counted {
	c := counted{metrics: s.metrics, transport: t}
	if s.metrics.Measures(m.Time) {
		c.measured = m
	}
	return c
}

// left is called when the message has left.
func (c *counted) left() {
	if c.measured != nil {
		c.metrics.Delivered(time.Since(c.measured.Time))
	}
}

// sessionCast is a cast to clients of Socket.IO.
type sessionCast struct {
	engine  *engineio.Server
	message *engineio.Prepared
	to      []*engineio.Session
	counted
}

// Delivered implements [channel.Gathering].
func (c *sessionCast) Delivered() {
	if len(c.to) == 1 {
		_ = c.to[0].SendPrepared(c.message)
		c.left()
		return
	}
	if c.measured != nil {
		c.message.OnSent(c.left)
	}
	c.engine.Broadcast(c.to, c.message, false)
}

var casts = sync.Pool{New: func() any { return new(cast) }}

func newCast(server *ws.Server, message *ws.PreparedMessage, count counted) *cast {
	c := casts.Get().(*cast)
	c.server, c.message, c.counted = server, message, count
	return c
}

func (f *socketFormat) cast(m *channel.Message) *cast {
	return newCast(f.sockets, f.prepare(m), f.server.count(metrics.WebSocket, m))
}

// Delivered implements [channel.Gathering]. A client alone gets the message right here: that is faster than another goroutine.
func (c *cast) Delivered() {
	c.metrics.Sent(c.transport, len(c.to), len(c.to)*len(c.message.Message().Data))
	if len(c.to) == 1 {
		_ = c.to[0].SendPrepared(c.message)
		c.left()
	} else {
		if c.measured != nil {
			count := c.counted // the cast is used again
			c.message.OnSent(count.left)
		}
		c.server.Multicast(c.to, c.message)
	}
	clear(c.to)
	*c = cast{to: c.to[:0]}
	casts.Put(c)
}
