package ws

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"baro.dev/ws/internal/dialer"
	"baro.dev/ws/internal/frame"
	"baro.dev/ws/internal/handshake"
)

var (
	// ErrClosed is what an operation on a connection returns after this side closed it. It matches net.ErrClosed.
	ErrClosed error = &sentinel{"ws: connection closed", net.ErrClosed}
	// ErrQueueFull is what sending returns when the message does not fit into the write queue (Queue.MaxBytes). The
	// message was not sent.
	ErrQueueFull = errors.New("ws: write queue full")
	// ErrPeerTimeout is why a connection ended whose peer did not answer a ping in time (Keepalive), or was idle for
	// too long (Limits.IdleTimeout). It matches os.ErrDeadlineExceeded.
	ErrPeerTimeout error = &sentinel{"ws: peer timed out", os.ErrDeadlineExceeded}
	// ErrMessageTooBig matches, by errors.Is, the failure of a connection whose peer sent a message of more than
	// Limits.MaxMessageSize bytes.
	ErrMessageTooBig = errors.New("ws: message too big")
)

// sentinel is an error with a message of its own that matches another.
type sentinel struct {
	text  string
	cause error
}

func (e *sentinel) Error() string { return e.text }
func (e *sentinel) Unwrap() error { return e.cause }

// CloseError says how a connection ended: with a close frame of the peer (Remote), with one of this side because the
// peer did something it must not, or without one (StatusAbnormalClosure).
type CloseError struct {
	Code   StatusCode
	Reason string
	// Remote: code and reason are the peer's.
	Remote bool
	// Err is what lies beneath, if anything: io.ErrUnexpectedEOF or another error of the stream below, or
	// ErrMessageTooBig.
	Err error
}

func (e *CloseError) Error() string {
	who := "closed"
	if e.Remote {
		who = "closed by peer"
	}
	s := "ws: " + who + ": " + e.Code.String()
	if e.Reason != "" {
		s += fmt.Sprintf(": %q", e.Reason)
	}
	if e.Err != nil && e.Err != ErrClosed {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns e.Err.
func (e *CloseError) Unwrap() error { return e.Err }

// CloseStatus returns the code of the *CloseError in err's chain, or 0 if there is none.
func CloseStatus(err error) StatusCode {
	if ce, ok := errors.AsType[*CloseError](err); ok {
		return ce.Code
	}
	return 0
}

// HandshakeError says why an opening handshake was refused: by Accept and Server with the status that was answered,
// by Dial with the response that came. The header or parameter at fault is named in Reason.
type HandshakeError = handshake.Error

// ProxyError is that a proxy of HTTP refuses to carry the connection, by a status: 407 wants credentials, which the user of the proxy's URL has.
type ProxyError = dialer.ProxyError

// violation turns what the parser found into the error of the connection.
func violation(err error) *CloseError {
	fe, ok := errors.AsType[*frame.Error](err)
	if !ok {
		return &CloseError{Code: StatusAbnormalClosure, Err: err}
	}
	ce := &CloseError{Code: StatusCode(fe.Code), Reason: fe.Reason}
	if ce.Code == StatusMessageTooBig {
		ce.Err = ErrMessageTooBig
	}
	return ce
}

// lost is the error of a connection whose stream ended or failed without a close frame.
func lost(err error) *CloseError {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &CloseError{Code: StatusAbnormalClosure, Err: err}
}
