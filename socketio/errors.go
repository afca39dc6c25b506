package socketio

import (
	"errors"
	"fmt"
	"strings"
)

// ErrDisconnected is what sending to a socket returns that has been disconnected, and what waiting for its answer ends with.
var ErrDisconnected = errors.New("socketio: socket is disconnected")

// ErrTooManyAcks is returned when Options.MaxPendingAcks acknowledgements of a socket are waited for already.
var ErrTooManyAcks = errors.New("socketio: too many acknowledgements are waited for")

// ErrNoAck is what Event.Ack returns when the client does not want an acknowledgement, or has got it.
var ErrNoAck = errors.New("socketio: no acknowledgement is wanted")

// ErrTimeout is the cause when the time given by Timeout is over. It matches context.DeadlineExceeded.
var ErrTimeout error = timeoutError{}

// Error is an error for the client: what middleware refuses a connection with, or a typed handler answers.
type Error struct {
	Message string `json:"message"`
	// Data is sent along, where it is not nil.
	Data any `json:"data,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// asError is err as the client gets it.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{err.Error(), e.Data}
	}
	return &Error{Message: err.Error()}
}

// PartialError says that not all clients have answered. It comes with the answers of those that have.
type PartialError struct {
	Answered, Missing int
	Err               error // why it was not waited for longer
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("socketio: %d of %d clients have not answered: %v", e.Missing, e.Answered+e.Missing, e.Err)
}

// Unwrap returns e.Err.
func (e *PartialError) Unwrap() error { return e.Err }

// ServersError says that not all servers of a cluster have answered. It comes with the answers of those that have.
type ServersError struct {
	Answered, Missing int
	Servers           []string // the ids of those that have not, where it is known who there is
	Err               error    // why they were not waited for longer
}

func (e *ServersError) Error() string {
	who := ""
	if len(e.Servers) > 0 {
		who = " (" + strings.Join(e.Servers, ", ") + ")"
	}
	return fmt.Sprintf("socketio: %d of %d servers have not answered%s: %v", e.Missing, e.Answered+e.Missing, who, e.Err)
}

// Unwrap returns e.Err.
func (e *ServersError) Unwrap() error { return e.Err }

// Reason says why a socket was disconnected, in the words of the official server.
type Reason string

// The reasons.
const (
	ClientNamespaceDisconnect Reason = "client namespace disconnect" // the client has left the namespace
	ServerNamespaceDisconnect Reason = "server namespace disconnect" // Socket.Disconnect
	ServerShuttingDown        Reason = "server shutting down"
	PingTimeout               Reason = "ping timeout"
	TransportClose            Reason = "transport close"
	TransportError            Reason = "transport error"
	ParseError                Reason = "parse error"
	ForcedClose               Reason = "forced close"
	ForcedServerClose         Reason = "forced server close" // the client broke the protocol
)

// recoverable reports whether a client may come back and find its socket.
func (r Reason) recoverable() bool {
	switch r {
	case TransportClose, TransportError, PingTimeout, ForcedClose, ServerShuttingDown, ForcedServerClose:
		return true
	}
	return false
}
