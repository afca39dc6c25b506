package socketio

import "context"

// Handlers is what handlers of events are registered with: a *Socket, or for all of its sockets a *Namespace, a *Server or a
// *ParentNamespace.
type Handlers interface {
	// On registers a handler, and returns what removes it again.
	On(name string, handler func(*Event)) (remove func())
}

// On registers a typed handler of an event with one argument. The argument is decoded as encoding/json.Unmarshal does, with
// []byte for binary; arguments that the handler has no parameter for are ignored. One that is missing is an error, unless its
// parameter is a pointer, an interface or a parser.Value: optional arguments are nil, or the zero Value, when they are not there.
//
// If the client wants an acknowledgement it gets the result. An error, also that of decoding, is acknowledged with
// {"error":{"message":"...","data":...}}: its text, and the data of an *Error. Without an acknowledgement it is logged.
//
// ctx is done when the socket is disconnected; SocketOf gives the socket. On returns what removes the handler.
func On[T, R any](h Handlers, name string, handler func(ctx context.Context, arg T) (R, error)) (remove func()) {
	return h.On(name, func(e *Event) {
		var a T
		if bound(e, &a) {
			r, err := handler(e.Context(), a)
			answer(e, r, err)
		}
	})
}

// On0 is On for an event without arguments.
func On0[R any](h Handlers, name string, handler func(ctx context.Context) (R, error)) (remove func()) {
	return h.On(name, func(e *Event) {
		r, err := handler(e.Context())
		answer(e, r, err)
	})
}

// On2 is On for an event with two arguments.
func On2[T, U, R any](h Handlers, name string, handler func(ctx context.Context, a T, b U) (R, error)) (remove func()) {
	return h.On(name, func(e *Event) {
		var a T
		var b U
		if bound(e, &a, &b) {
			r, err := handler(e.Context(), a, b)
			answer(e, r, err)
		}
	})
}

// On3 is On for an event with three arguments.
func On3[T, U, V, R any](h Handlers, name string, handler func(ctx context.Context, a T, b U, c V) (R, error)) (remove func()) {
	return h.On(name, func(e *Event) {
		var a T
		var b U
		var c V
		if bound(e, &a, &b, &c) {
			r, err := handler(e.Context(), a, b, c)
			answer(e, r, err)
		}
	})
}

// Listen is On for a handler without a result: the acknowledgement, if one is wanted, has no arguments.
func Listen[T any](h Handlers, name string, handler func(ctx context.Context, arg T) error) (remove func()) {
	return h.On(name, func(e *Event) {
		var a T
		if bound(e, &a) {
			done(e, handler(e.Context(), a))
		}
	})
}

// Listen0 is Listen for an event without arguments.
func Listen0(h Handlers, name string, handler func(ctx context.Context) error) (remove func()) {
	return h.On(name, func(e *Event) { done(e, handler(e.Context())) })
}

// Listen2 is Listen for an event with two arguments.
func Listen2[T, U any](h Handlers, name string, handler func(ctx context.Context, a T, b U) error) (remove func()) {
	return h.On(name, func(e *Event) {
		var a T
		var b U
		if bound(e, &a, &b) {
			done(e, handler(e.Context(), a, b))
		}
	})
}

// Listen3 is Listen for an event with three arguments.
func Listen3[T, U, V any](h Handlers, name string, handler func(ctx context.Context, a T, b U, c V) error) (remove func()) {
	return h.On(name, func(e *Event) {
		var a T
		var b U
		var c V
		if bound(e, &a, &b, &c) {
			done(e, handler(e.Context(), a, b, c))
		}
	})
}

func bound(e *Event, dst ...any) bool {
	err := e.Bind(dst...)
	if err != nil {
		e.failed(err)
	}
	return err == nil
}

func answer(e *Event, result any, err error) {
	switch {
	case err != nil:
		e.failed(err)
	case e.WantsAck():
		sent(e, e.Ack(result))
	}
}

func done(e *Event, err error) {
	switch {
	case err != nil:
		e.failed(err)
	case e.WantsAck():
		sent(e, e.Ack())
	}
}

// sent tells of an acknowledgement that could not be encoded: the log, and the client, which waits.
func sent(e *Event, err error) {
	if err != nil && !e.socket.gone() {
		e.socket.log().Error("acknowledgement not sent", "event", e.Name(), "socket", e.socket.id, "error", err)
		_ = e.AckError(errInternal)
	}
}
