// Package wsjson sends and receives JSON over WebSocket connections, one value a message.
//
// Values are sent as text messages, without a newline at the end and without HTML escaping; they are read from text
// and binary messages alike. Nothing decoded refers to the message it came from, and nothing of a value is kept by
// the connection it was written to: both are the caller's.
//
// A message that is not the JSON asked for is a [*DecodeError]. It costs that message only: the connection goes on,
// and the next call reads the next message. What is too large is refused by the connection (ws.Limits).
package wsjson

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"baro.dev/ws"
)

// Read returns the value of the next message. Errors other than a *DecodeError are those of ws.Conn.Read; when ctx is
// done, nothing is lost.
func Read[T any](ctx context.Context, c *ws.Conn) (T, error) {
	m, err := c.Read(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	return Decode[T](m)
}

// ReadInto stores the value of the next message in what v points to, as json.Unmarshal does: fields that the message
// does not have keep their values, and after an error some may have been set. Its errors are those of Read. If v is
// not a non-nil pointer, ReadInto reads nothing and returns a *json.InvalidUnmarshalError.
func ReadInto(ctx context.Context, c *ws.Conn, v any) error {
	if p := reflect.ValueOf(v); p.Kind() != reflect.Pointer || p.IsNil() {
		return &json.InvalidUnmarshalError{Type: reflect.TypeOf(v)}
	}
	m, err := c.Read(ctx)
	if err != nil {
		return err
	}
	return decode(m, v)
}

// Messages returns the values of the messages as they come. Each value is the caller's.
//
// A message that is not the JSON asked for is a step with a *DecodeError, and the sequence goes on with the next one
// if the loop does. It ends as that of ws.Conn.Messages: without an error when the connection was closed normally.
func Messages[T any](ctx context.Context, c *ws.Conn) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for m, err := range c.Messages(ctx) {
			var v T
			if err == nil {
				v, err = Decode[T](m) // copies what it needs, so that the message may be a loan
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// Decode returns the value of m. It keeps nothing of m.Data, so it may be called with a message that is lent, such as
// that of ws.Server.OnMessage. Every error is a *DecodeError, and comes with the zero value.
func Decode[T any](m ws.Message) (T, error) {
	var v T
	if err := decode(m, &v); err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

func decode(m ws.Message, v any) error {
	err := json.Unmarshal(m.Data, v)
	if err == nil {
		return nil
	}
	e := &DecodeError{Offset: -1, Err: err}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		e.Offset = syntax.Offset
	} else if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Offset = mismatch.Offset
	}
	return e
}

// DecodeError says that a message is not the JSON that was asked for.
type DecodeError struct {
	// Offset is how many bytes of the message had been read when the error was found; -1 if that is not known.
	Offset int64
	// Err is what encoding/json said: a *json.SyntaxError, a *json.UnmarshalTypeError, or the error of a type's own
	// UnmarshalJSON.
	Err error
}

func (e *DecodeError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("wsjson: decoding message: %v", e.Err)
	}
	return fmt.Sprintf("wsjson: decoding message at byte %d: %v", e.Offset, e.Err)
}

// Unwrap returns e.Err.
func (e *DecodeError) Unwrap() error { return e.Err }
