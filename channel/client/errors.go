package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"baro.dev/channel"
	"baro.dev/ws"
)

// What can be wrong; compare with errors.Is.
var (
	// ErrClosed is that the client, or the subscription, was closed.
	ErrClosed = errors.New("channel/client: closed")
	// ErrSubscribed is that the client has a subscription to the channel already.
	ErrSubscribed = errors.New("channel/client: subscribed to the channel already")
	// ErrNeedsWebSocket is that what was asked can only be asked over WebSocket, which cannot pass at the moment.
	ErrNeedsWebSocket = errors.New("channel/client: this needs the WebSocket, which does not pass")
	// ErrProtocol is that the server sent what is not of the protocol.
	ErrProtocol = errors.New("channel/client: protocol violation")
	// ErrLost is that the connection was lost before the answer to what was asked: it may have been done.
	ErrLost = errors.New("channel/client: the connection was lost before the answer")

	errSlow = errors.New("channel/client: more messages wait for handlers than Options.MaxBuffered")
)

// Error is a refusal of the server; docs/ws-protocol.md has the list.
type Error struct {
	Code    string `json:"code"` // a word for programs
	Number  int    `json:"number"`
	Message string `json:"message"` // for people
	// After is when to come back, if the server has said so.
	After time.Duration `json:"-"`

	Epoch  string `json:"epoch"` // with not_recoverable: where the channel is
	Offset uint64 `json:"offset"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("channel/client: refused: %s (%d): %q", e.Code, e.Number, e.Message)
}

// Temporary reports whether it may be tried again as it is.
func (e *Error) Temporary() bool {
	return e.Number >= 1000 && e.Number < 1500 || e.Number >= 4000 && e.Number < 4500
}

// StatusError is an answer that is not of baro serve, but of a proxy before it for instance. It is tried again.
type StatusError struct {
	Status int // of HTTP
	// After is when to come back, if the answer has said so.
	After time.Duration
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("channel/client: status %d %s", e.Status, http.StatusText(e.Status))
}

const (
	codeExpired        = "token_expired"
	codeNotRecoverable = "not_recoverable"
)

// lasting says whether trying again does not help.
func lasting(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Temporary() || errors.Is(err, ErrClosed)
}

// after is when the server wants to be asked again; 0 if it has not said.
func after(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.After
	}
	return 0
}

// gone says whether what was missed cannot be had, and where the channel is.
func gone(err error) (channel.Position, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != codeNotRecoverable {
		return channel.Position{}, false
	}
	return channel.Position{Epoch: e.Epoch, Offset: e.Offset}, true
}

// maxError is how long an answer may be that refuses something.
const maxError = 8 << 10

// maxAfter bounds what a server may ask for.
const maxAfter = time.Hour

// refusal reads an answer that refuses a request: an *Error, or a *StatusError.
func refusal(status int, h http.Header, body []byte) error {
	var said struct {
		Error Error
		channel.Position
	}
	if json.Unmarshal(body, &said) != nil || said.Error.Number == 0 {
		return &StatusError{Status: status, After: retryAfter(h)}
	}
	e := &said.Error
	e.Epoch, e.Offset = said.Epoch, said.Offset
	e.After = retryAfter(h)
	return e
}

// retryAfter is when an answer wants to be asked again (RFC 9110, 10.2.3); 0 if it does not say.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(0, time.Duration(min(seconds, 1<<30))*time.Second), maxAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, time.Until(at)), maxAfter)
	}
	return 0
}

// closed is why a WebSocket has ended: an *Error if its close code says that coming back does not help.
func closed(err error) error {
	c, ok := errors.AsType[*ws.CloseError](err)
	if !ok || !c.Remote || c.Code < 4000 || c.Code > 4999 {
		return fmt.Errorf("channel/client: %w", err)
	}
	code, text, _ := strings.Cut(c.Reason, ": ")
	return &Error{Code: code, Number: int(c.Code), Message: text}
}

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}
