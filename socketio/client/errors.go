package client

import (
	"context"
	"errors"
	"fmt"

	eio "baro.dev/engineio/client"
)

// What can be wrong; compare with errors.Is.
var (
	// ErrDisconnected is what waiting for an acknowledgement ends with when the connection is lost, or the socket leaves.
	ErrDisconnected = errors.New("socketio/client: the socket has been disconnected")
	// ErrClosed is that the manager, or the socket's own one, was closed.
	ErrClosed = errors.New("socketio/client: closed")
	// ErrBufferFull is that Options.MaxBuffered bytes wait to be sent already: what was emitted was not taken.
	ErrBufferFull = errors.New("socketio/client: too much waits to be sent")
	// ErrGivenUp is that Options.ReconnectionAttempts were made in vain.
	ErrGivenUp = errors.New("socketio/client: the server could not be reached again")
	// ErrNoAck is what Event.Ack returns when the server wants no acknowledgement, or has got it.
	ErrNoAck = errors.New("socketio/client: no acknowledgement is wanted")
	// ErrProtocol is that the server sent what is not of the protocol.
	ErrProtocol = errors.New("socketio/client: protocol violation")
	// ErrTimeout is the cause when an acknowledgement has not come in time. It matches context.DeadlineExceeded.
	ErrTimeout error = timeoutError{}
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "socketio/client: no acknowledgement in time" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// ConnectError is how the server, or its middleware, refuses a socket: a connection to it is not tried again, unless by Connect.
type ConnectError struct {
	Message string
	// Data is what the server says besides (err.data); the zero Value if that is nothing.
	Data Value
}

func (e *ConnectError) Error() string { return "socketio/client: refused: " + e.Message }

// Reason says why a socket was disconnected, in the words of the official client.
type Reason string

// The reasons.
const (
	ServerDisconnect Reason = "io server disconnect" // it does not come back by itself
	ClientDisconnect Reason = "io client disconnect" // Disconnect or Close
	ForcedClose      Reason = "forced close"         // the session of Engine.IO was closed by this side
	PingTimeout      Reason = "ping timeout"
	TransportClose   Reason = "transport close"
	TransportError   Reason = "transport error"
	ParseError       Reason = "parse error"
)

// reasonOf is the reason for which a session has ended.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, eio.ErrClosed):
		return ForcedClose
	case errors.Is(err, eio.ErrPingTimeout):
		return PingTimeout
	case errors.Is(err, eio.ErrServerClosed):
		return TransportClose
	case errors.Is(err, eio.ErrProtocol), errors.Is(err, ErrProtocol):
		return ParseError
	}
	return TransportError
}

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}
