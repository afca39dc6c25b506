package server

import (
	"sync"

	"baro.dev/channel"
	"baro.dev/engineio"
	"baro.dev/ws"
)

// cast is a message on its way to all WebSockets of one server that get it in one form. Their event loops send it, so that what is
// published in quick succession leaves in one write for each.
type cast struct {
	server  *ws.Server
	message *ws.PreparedMessage
	to      []*ws.Socket
}

// sessionCast is a cast to clients of Socket.IO.
type sessionCast struct {
	engine  *engineio.Server
	message *engineio.Prepared
	to      []*engineio.Session
}

// Delivered implements [channel.Gathering].
func (c *sessionCast) Delivered() {
	if len(c.to) == 1 {
		_ = c.to[0].SendPrepared(c.message)
	} else {
		c.engine.Broadcast(c.to, c.message, false)
	}
}

var casts = sync.Pool{New: func() any { return new(cast) }}

func newCast(server *ws.Server, message *ws.PreparedMessage) *cast {
	c := casts.Get().(*cast)
	c.server, c.message = server, message
	return c
}

func (f *socketFormat) cast(m *channel.Message) *cast { return newCast(f.server, f.prepare(m)) }

// Delivered implements [channel.Gathering]. A client alone gets the message right here: that is faster than another goroutine.
func (c *cast) Delivered() {
	if len(c.to) == 1 {
		_ = c.to[0].SendPrepared(c.message)
	} else {
		c.server.Multicast(c.to, c.message)
	}
	clear(c.to)
	*c = cast{to: c.to[:0]}
	casts.Put(c)
}
