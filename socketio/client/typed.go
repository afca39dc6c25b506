package client

import "context"

// On registers a typed handler of an event with one argument. The argument is decoded as encoding/json.Unmarshal does, with []byte for
// binary; arguments that the handler has no parameter for are ignored. One that is missing is an error, unless its parameter is a
// pointer, an interface or a Value.
//
// If the server wants an acknowledgement it gets the result. An error, also that of decoding, is acknowledged with
// {"error":{"message":"..."}}; without an acknowledgement it is logged. ctx is done when the manager is closed. On returns what
// removes the handler.
func On[T, R any](s *Socket, name string, handler func(ctx context.Context, arg T) (R, error)) (remove func()) {
	return s.On(name, func(e *Event) {
		var a T
		answer(e, e.Bind(&a), func() (any, error) { return handler(e.Context(), a) })
	})
}

// On0 is On for an event without arguments.
func On0[R any](s *Socket, name string, handler func(ctx context.Context) (R, error)) (remove func()) {
	return s.On(name, func(e *Event) {
		answer(e, nil, func() (any, error) { return handler(e.Context()) })
	})
}

// On2 is On for an event with two arguments.
func On2[T, U, R any](s *Socket, name string, handler func(ctx context.Context, a T, b U) (R, error)) (remove func()) {
	return s.On(name, func(e *Event) {
		var a T
		var b U
		answer(e, e.Bind(&a, &b), func() (any, error) { return handler(e.Context(), a, b) })
	})
}

// Listen is On for a handler without a result: the acknowledgement, if one is wanted, has no arguments.
func Listen[T any](s *Socket, name string, handler func(ctx context.Context, arg T) error) (remove func()) {
	return s.On(name, func(e *Event) {
		var a T
		answer(e, e.Bind(&a), func() (any, error) { return nothing{}, handler(e.Context(), a) })
	})
}

// Listen0 is Listen for an event without arguments.
func Listen0(s *Socket, name string, handler func(ctx context.Context) error) (remove func()) {
	return s.On(name, func(e *Event) {
		answer(e, nil, func() (any, error) { return nothing{}, handler(e.Context()) })
	})
}

// Listen2 is Listen for an event with two arguments.
func Listen2[T, U any](s *Socket, name string, handler func(ctx context.Context, a T, b U) error) (remove func()) {
	return s.On(name, func(e *Event) {
		var a T
		var b U
		answer(e, e.Bind(&a, &b), func() (any, error) { return nothing{}, handler(e.Context(), a, b) })
	})
}

// nothing is the result of a handler that has none.
type nothing struct{}

// answer has a handler called, unless its arguments are wrong, and its result acknowledged.
func answer(e *Event, wrong error, handle func() (any, error)) {
	err := wrong
	var result any
	if err == nil {
		result, err = handle()
	}
	switch _, none := result.(nothing); {
	case err != nil:
		e.failed(err)
	case !e.WantsAck():
	case none:
		err = e.Ack()
	default:
		err = e.Ack(result)
	}
	if err != nil && e.WantsAck() && e.socket.Connected() {
		e.failed(err)
	}
}
