package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
)

// An API is the HTTP API of a server: docs/http-api.md. Its methods may be called from any goroutine.
type API struct {
	base   *url.URL
	header http.Header
	http   *http.Client
}

// keyHeader shows an API key, and leaves Authorization to proxies.
const keyHeader = "X-Api-Key"

// NewAPI makes the API of the server that a target names, whose URL's path comes before /api. key is an API key; "": none is shown.
// Close ends its connections.
func NewAPI(to *target.Target, key string) *API {
	own := *to
	own.Header = to.Header.Clone()
	if key != "" {
		own.Header.Set(keyHeader, key)
	}
	return &API{base: baseOf(to.URL), header: own.Header, http: own.HTTPClient(0)}
}

// baseOf is the URL of a server, by http or https, with a slash at its end.
func baseOf(u *url.URL) *url.URL {
	b := *u
	switch b.Scheme {
	case "ws":
		b.Scheme = "http"
	case "wss":
		b.Scheme = "https"
	}
	b.Path, b.RawPath, b.RawQuery = strings.TrimSuffix(b.Path, "/")+"/", "", ""
	return &b
}

// Close ends the connections that are not in use.
func (a *API) Close() { a.http.CloseIdleConnections() }

// RefusedError is that the server has answered, and what it said. Its exit code is exit.Refused.
type RefusedError struct {
	Status  int    `json:"-"` // of HTTP; 0 if the answer was not to a request of its own
	Code    string `json:"code"`
	Number  int    `json:"number"`
	Message string `json:"message"`
	// After is when to come back, if the server has said so.
	After time.Duration `json:"-"`
}

func (r *RefusedError) Error() string {
	switch {
	case r.Status == http.StatusProxyAuthRequired && r.Number == 0:
		return "refused: " + target.ProxyAdvice
	case r.Number == 0:
		return fmt.Sprintf("refused: %d %s", r.Status, http.StatusText(r.Status))
	case r.Message == "":
		return fmt.Sprintf("refused: %s (%d)", r.Code, r.Number)
	}
	return fmt.Sprintf("refused: %s (%s, %d)", r.Message, r.Code, r.Number)
}

// temporary says whether it may be tried again as it is.
func (r *RefusedError) temporary() bool {
	if r.Number == 0 {
		return r.Status == http.StatusTooManyRequests || r.Status >= 500
	}
	return r.Number >= 1000 && r.Number < 1500
}

// maxAnswer bounds what a server answers, in bytes.
const maxAnswer = 64 << 20

// maxAfter bounds what a server may ask for.
const maxAfter = time.Minute

// ask sends body to a request of the API, and decodes what is answered into result. The error has its exit code.
func (a *API) ask(ctx context.Context, name string, body, result any) error {
	text, err := encode(body)
	if err != nil {
		return err
	}
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	u := a.base.JoinPath("api/v1", name)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(text))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	r.Header = a.header.Clone()
	r.Header.Set("Content-Type", "application/json")
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	code := func() int {
		if connected {
			return exit.Broken
		}
		return exit.Unreachable
	}
	resp, err := a.http.Do(r)
	if err != nil {
		return failure(ctx, code(), err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return failure(ctx, exit.Broken, err)
	case len(answer) > maxAnswer:
		return exit.With(exit.Refused, fmt.Errorf("the answer has more than %d bytes", maxAnswer))
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return refusal(resp, answer)
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return exit.With(exit.Refused, fmt.Errorf("the answer of %s is not that of the API: %w", u.Host, err))
	}
	return nil
}

// encode is json.Marshal without escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// failure is an error of the network with its code, unless the user wanted it.
func failure(ctx context.Context, code int, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = fmt.Errorf("%s: %w", e.URL, e.Err)
	}
	switch {
	case nonsense(err):
		code = exit.Refused
	case code == exit.Unreachable:
		return target.Unconnected(err)
	}
	return exit.With(code, err)
}

// nonsense reports whether what was answered is not HTTP, or too much of it: package net/http says so in words alone.
func nonsense(err error) bool {
	return strings.Contains(err.Error(), "malformed HTTP") || strings.Contains(err.Error(), "server response headers exceeded")
}

func refusal(resp *http.Response, answer []byte) error {
	var said struct{ Error RefusedError }
	if json.Unmarshal(answer, &said) != nil || said.Error.Number == 0 {
		said.Error = RefusedError{}
	}
	e := &said.Error
	e.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.After = min(time.Duration(seconds)*time.Second, maxAfter)
	}
	return exit.With(exit.Refused, e)
}
