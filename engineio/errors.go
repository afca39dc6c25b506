package engineio

import (
	"errors"
	"fmt"
	"net/http"

	"baro.dev/engineio/internal/frame"
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

// ErrFrame is why a session over a stream ends whose client sends what is no frame, or one that is larger than
// Options.MaxHTTPBufferSize.
var ErrFrame = frame.ErrMalformed

var errGoexit = errors.New("engineio: handler ended its goroutine")

// ErrBufferFull is why a session is closed for which more would have to wait than Options.MaxBuffered.
var ErrBufferFull = errors.New("engineio: the client does not take what is sent to it")

// ErrCrossOrigin is why a request is refused that a page of another origin makes, which Options.CORS does not allow.
var ErrCrossOrigin = errors.New("cross-origin request")

// Code says why a request is refused, by the numbers of the official server.
type Code int

// The codes.
const (
	UnknownTransport Code = iota
	UnknownSession
	BadHandshakeMethod
	BadRequest
	Forbidden
	UnsupportedProtocolVersion
)

var codeMessages = [...]string{
	"Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version",
}

// String returns the message that belongs to the code.
func (c Code) String() string {
	if c < 0 || int(c) >= len(codeMessages) {
		return fmt.Sprintf("Code(%d)", int(c))
	}
	return codeMessages[c]
}

func (c Code) status() int {
	if c == Forbidden {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// ConnectionError says why a request is refused (connection_error).
type ConnectionError struct {
	// Code and Message are what the client is answered. Message is that of the code, or of the error of Options.AllowRequest.
	Code    Code
	Message string
	// Err says more, which the client is not told; it may be nil. It is ErrCrossOrigin, or wraps it, if that is why, and
	// the error of Options.AllowRequest as that returned it.
	Err error
}

func (e *ConnectionError) Error() string {
	if e.Err == nil || e.Err.Error() == e.Message {
		return "engineio: " + e.Message
	}
	return fmt.Sprintf("engineio: %s: %v", e.Message, e.Err)
}

// Unwrap returns e.Err.
func (e *ConnectionError) Unwrap() error { return e.Err }

func refuse(code Code, why error) *ConnectionError { return &ConnectionError{code, code.String(), why} }

// refuseFor is refuse with what there is to say for the log.
func refuseFor(code Code, why string) *ConnectionError { return refuse(code, errors.New(why)) }
