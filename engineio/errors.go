package engineio

import (
	"errors"
	"fmt"
)

// Reason says why a session ended, in the words of the official server.
type Reason string

// The reasons.
const (
	TransportClose Reason = "transport close" // the client closed, or the connection is gone
	TransportError Reason = "transport error" // the connection failed
	PingTimeout    Reason = "ping timeout"    // no answer to a ping
	ParseError     Reason = "parse error"     // the client sent what is no packet
	ForcedClose    Reason = "forced close"    // Session.Close
	ServerClose    Reason = "server shutting down"
)

// CloseError says how a session ended.
type CloseError struct {
	Reason Reason
	Err    error // what is known besides; may be nil
}

func (e *CloseError) Error() string {
	if e.Err == nil {
		return "engineio: " + string(e.Reason)
	}
	return fmt.Sprintf("engineio: %s: %v", e.Reason, e.Err)
}

// Unwrap returns e.Err.
func (e *CloseError) Unwrap() error { return e.Err }

// ErrClosed is what sending returns when the session has ended or is ending.
var ErrClosed = errors.New("engineio: session is closed")

var errGoexit = errors.New("engineio: handler ended its goroutine")

// ErrBufferFull is why a session is closed for which more would have to wait than Options.MaxBuffered.
var ErrBufferFull = errors.New("engineio: the client does not take what is sent to it")

// A refusal is what a request is answered that is not served: a code of the official server.
type refusal struct {
	status  int
	code    int
	message string
	context string // for the log
}

func (r *refusal) Error() string {
	if r.context == "" {
		return r.message
	}
	return r.message + ": " + r.context
}

func refuse(code int, context string) *refusal {
	r := &refusal{status: 400, code: code, message: refusals[code], context: context}
	if code == forbidden {
		r.status = 403
	}
	return r
}

const (
	unknownTransport = iota
	unknownSession
	badHandshakeMethod
	badRequest
	forbidden
	unsupportedProtocol
)

var refusals = [...]string{
	"Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version",
}
