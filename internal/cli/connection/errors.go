package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

var (
	// ErrClosed is what a connection returns that this side has closed.
	ErrClosed = errors.New("the connection is closed")
	// ErrReadOnly is what Send returns where nothing can be sent.
	ErrReadOnly = errors.New("nothing can be sent over this connection")
	// ErrNoPing is what Ping returns where nobody can be asked.
	ErrNoPing = errors.New("this connection cannot ping")
	// ErrMessage matches, by errors.Is, why one message could not be sent, or was refused, while the connection goes on.
	ErrMessage = errors.New("the message was not sent")
	// ErrTooLarge matches the end of a connection whose server sent a message of more than Options.MaxMessage bytes.
	ErrTooLarge = errors.New("the server sends a message that is too large")
)

// errNoAnswer is why there is no connection where the server has ended it without a word.
var errNoAnswer = errors.New("the server ended the connection without an answer")

// bad is the error of a message.
func bad(err error) error { return fmt.Errorf("%w: %w", ErrMessage, err) }

// maxQuoted is how much of an answer is repeated to people, in bytes.
const maxQuoted = 300

// RefusedError is an answer of the server by which it refuses the connection.
type RefusedError struct {
	Status int    // of HTTP
	Body   string // the beginning; as it came
	Why    string // what is wrong with an answer that is none; "" for the status alone
	Header http.Header
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("the server answers %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == 0 {
		s = "the server's answer is wrong"
	}
	if e.Why != "" {
		s += ": " + e.Why
	}
	if body := strings.Join(strings.Fields(e.Body), " "); body != "" {
		s += fmt.Sprintf(": %q", body)
	}
	return s
}

// refusal makes an error of an answer, and closes its body.
func refusal(r *http.Response, why string) error {
	defer r.Body.Close()
	// whatever the body does: no context ends it any more
	defer time.AfterFunc(refusalTime, func() { r.Body.Close() }).Stop()
	e := &RefusedError{Status: r.StatusCode, Why: why, Header: r.Header}
	if r.StatusCode == http.StatusProxyAuthRequired && why == "" {
		e.Why = target.ProxyAdvice
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		text, _ := io.ReadAll(io.LimitReader(r.Body, maxQuoted))
		e.Body = string(text)
	}
	return exit.With(exit.Refused, e)
}

// unreached is why there is no connection: with an answer that says no, or without any.
func unreached(ctx context.Context, err error, answered bool) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the URL may have a secret in its query
	}
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case answered:
		return exit.With(exit.Refused, err)
	case errors.Is(err, io.EOF): // which would say that a stream has come to its end
		return exit.With(exit.Unreachable, errNoAnswer)
	}
	return target.Unconnected(err)
}

// broken is why a connection has ended that was there.
func broken(err error) error {
	if err == nil || err == io.EOF || errors.Is(err, ErrClosed) {
		return err
	}
	return exit.With(exit.Broken, err)
}

// passing reports whether what failed may work later.
func passing(err error) bool {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
	}
	switch exit.Code(err) {
	case exit.Unreachable, exit.Broken:
		return true
	}
	return false
}

// closed is what the end of a WebSocket means.
func closed(err error) error {
	if errors.Is(err, ws.ErrClosed) {
		return ErrClosed
	}
	if e, ok := errors.AsType[*ws.CloseError](err); ok && e.Remote && (e.Code == ws.StatusNormalClosure || e.Code == ws.StatusNoStatus) {
		return io.EOF
	}
	if errors.Is(err, ws.ErrMessageTooBig) {
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return broken(err)
}
