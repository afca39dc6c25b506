package client

import (
	"context"
	"sync/atomic"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/parser"
)

// Event is an event of the server. It may be kept, and acknowledged later and by another goroutine.
type Event struct {
	socket *Socket
	packet parser.Packet
	life   uint64 // of the socket in which it came
	acked  atomic.Bool
}

// Socket returns the socket that it came by.
func (e *Event) Socket() *Socket { return e.socket }

// Context returns a context that is done when the socket's manager is closed.
func (e *Event) Context() context.Context { return e.socket.manager.ctx }

// Name returns the name.
func (e *Event) Name() string { return e.packet.Data.Name() }

// Bind decodes the first arguments into what dst points to (see parser.Data.Bind); nil leaves one out. One that is missing is an error,
// unless it is bound to a pointer, an interface or a Value.
func (e *Event) Bind(dst ...any) error { return e.packet.Data.Bind(dst...) }

// Data returns the name and the arguments. With connection state recovery the server has put an offset behind them.
func (e *Event) Data() *Args { return &e.packet.Data }

// Len returns the number of arguments.
func (e *Event) Len() int { return e.packet.Data.Len() }

// WantsAck reports whether the server waits for an acknowledgement that it has not got.
func (e *Event) WantsAck() bool { return e.packet.HasID && !e.acked.Load() }

// Ack acknowledges the event. The error is ErrNoAck, ErrDisconnected if the connection that it came by is no more, or says what
// cannot be encoded: then the server still waits.
func (e *Event) Ack(args ...any) error {
	if !e.packet.HasID || !e.acked.CompareAndSwap(false, true) {
		return ErrNoAck
	}
	s := e.socket
	s.mu.Lock()
	session := s.session
	if s.life != e.life {
		session = nil // to the connection of now it would be the answer to something else
	}
	s.mu.Unlock()
	if session == nil {
		return ErrDisconnected
	}
	err := s.send(session, &parser.Packet{
		Type: parser.Ack, Namespace: s.namespace, ID: e.packet.ID, HasID: true, Data: parser.Values(args...),
	})
	if err != nil {
		e.acked.Store(false)
		if session.Err() != nil {
			err = ErrDisconnected
		}
	}
	return bufferError(err)
}

// AckError acknowledges the event with {"error":{"message":...}}, as a typed handler's error does.
func (e *Event) AckError(err error) error {
	type message struct {
		Message string `json:"message"`
	}
	return e.Ack(struct {
		Error message `json:"error"`
	}{message{err.Error()}})
}

// failed is what becomes of a handler's error.
func (e *Event) failed(err error) {
	if !e.WantsAck() || e.AckError(err) != nil {
		e.socket.manager.set.Logger.Error("event handler failed", "event", e.Name(), "namespace", e.socket.namespace, "error", err)
	}
}

func sizeOf(p *parser.Packet) int {
	size := 1
	for _, v := range p.Data.All() {
		size += v.Size()
	}
	return size
}

// handle hands an event to the handlers.
func (s *Socket) handle(p *parser.Packet, life uint64, size int, session *eio.Session) {
	e := &Event{socket: s, packet: *p, life: life}
	s.inbox.push(size, func() bool { return session.Err() != nil }, func() { s.handlers.call(e) })
}
