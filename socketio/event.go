package socketio

import (
	"context"
	"sync/atomic"

	"baro.dev/socketio/parser"
)

// Args are arguments of an event or an acknowledgement: as they came, until they are bound.
type Args = parser.Data

// Event is an event that a client has sent. It may be kept, and acknowledged later and by another goroutine.
type Event struct {
	socket *Socket
	packet parser.Packet
	acked  atomic.Bool
}

// Socket returns the socket that it came by.
func (e *Event) Socket() *Socket { return e.socket }

// Context returns the context of the socket.
func (e *Event) Context() context.Context { return e.socket.Context() }

// Name returns the name.
func (e *Event) Name() string { return e.packet.Data.Name() }

// Bind decodes the first arguments into what dst points to (see parser.Data.Bind); nil leaves one out. One that is missing is an
// error, unless it is bound to a pointer, an interface or a parser.Value.
func (e *Event) Bind(dst ...any) error { return e.packet.Data.Bind(dst...) }

// Data returns the name and the arguments.
func (e *Event) Data() *Args { return &e.packet.Data }

// Args returns the arguments, not decoded: they can be sent on as they came.
func (e *Event) Args() []any { return e.packet.Data.Args() }

// Len returns the number of arguments.
func (e *Event) Len() int { return e.packet.Data.Len() }

// WantsAck reports whether the client waits for an acknowledgement that it has not got.
func (e *Event) WantsAck() bool { return e.packet.HasID && !e.acked.Load() }

// Ack acknowledges the event. The error is ErrNoAck if the client does not want that, or not any more; or it says what cannot be
// encoded: then the client still waits.
func (e *Event) Ack(args ...any) error {
	if !e.packet.HasID || !e.acked.CompareAndSwap(false, true) {
		return ErrNoAck
	}
	if e.socket.state.Load() == ended {
		return ErrDisconnected
	}
	err := e.socket.client.send(parser.Packet{
		Type: parser.Ack, Namespace: e.packet.Namespace, ID: e.packet.ID, HasID: true, Data: parser.Values(args...),
	}, false)
	if err != nil && !e.socket.gone() {
		e.acked.Store(false)
	}
	return err
}

// AckError acknowledges the event with {"error":{"message":...,"data":...}}, as the error of a typed handler does; data is that of
// an *Error.
func (e *Event) AckError(err error) error {
	return e.Ack(struct {
		Error *Error `json:"error"`
	}{asError(err)})
}

// failed is what becomes of a handler's error.
func (e *Event) failed(err error) {
	if e.WantsAck() {
		ackErr := e.AckError(err)
		if ackErr == nil || e.socket.gone() {
			return
		}
		if e.AckError(&Error{Message: err.Error()}) == nil { // without the data, which cannot be encoded
			err = ackErr
		}
	}
	e.socket.log().Error("event handler failed", "event", e.Name(), "socket", e.socket.id, "error", err)
}

// dispatch runs the handlers of an event. client.run is held.
func (s *Socket) dispatch(e *Event) {
	e.socket = s
	defer s.contain()
	n, more, name := s.nsp, s.more.Load(), e.Name()
	if n.parent != nil {
		n.parent.events.callAny(e)
	}
	n.events.callAny(e)
	if more != nil {
		more.events.callAny(e)
		for _, check := range s.middleware(more) {
			if err := check(e); err != nil {
				e.failed(err)
				return
			}
		}
	}
	if s.state.Load() != connected {
		return
	}
	if n.parent != nil {
		n.parent.events.call(e, name)
	}
	n.events.call(e, name)
	if more != nil {
		more.events.call(e, name)
	}
}

func (s *Socket) middleware(more *more) []func(*Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return more.middleware
}
