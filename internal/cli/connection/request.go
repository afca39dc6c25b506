package connection

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// requests are what links over HTTP have in common.
type requests struct {
	d      *dialer
	client *http.Client
	url    *url.URL        // scheme http or https
	ctx    context.Context // ends with the link
	cancel context.CancelFunc
}

func (d *dialer) requests(ctx context.Context) *requests {
	u := *d.Target.URL
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	}
	r := &requests{d: d, client: d.Target.HTTPClient(d.HTTP), url: &u}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

// do sends a request, to which ctx is for the head of the answer, whatever comes later. Any answer that is not 2xx, nor one of accept, is an error.
func (r *requests) do(ctx context.Context, method string, u *url.URL, body []byte, header map[string]string, accept ...int) (*http.Response, error) {
	within, cancel := context.WithCancelCause(r.ctx)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	request, err := http.NewRequestWithContext(within, method, u.String(), bytes.NewReader(body))
	if err == nil {
		request.Header, err = r.d.header(ctx)
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	for name, value := range header {
		if value != "" && request.Header.Get(name) == "" {
			request.Header.Set(name, value)
		}
	}
	resp, err := r.client.Do(request)
	if err != nil {
		cancel(nil)
		if ctx.Err() == nil && r.ctx.Err() != nil {
			return nil, ErrClosed
		}
		return nil, unreached(ctx, err, resp != nil)
	}
	resp.Body = &answerBody{resp.Body, cancel}
	if resp.StatusCode/100 == 2 || slices.Contains(accept, resp.StatusCode) {
		return resp, nil
	}
	return nil, refusal(resp, "")
}

// answerBody lets go of its request when it is closed.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *answerBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// refusalTime is how long the body of a refusal may take.
const refusalTime = time.Second

// whole reads the body of an answer.
func (r *requests) whole(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	most := r.d.maxMessage()
	text, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case r.ctx.Err() != nil:
		return nil, ErrClosed
	case err != nil:
		return nil, broken(fmt.Errorf("reading the answer: %w", err))
	case int64(len(text)) > most:
		return nil, broken(fmt.Errorf("%w: an answer of more than %d bytes", ErrTooLarge, most))
	}
	return text, nil
}

// send publishes to a channel of baro serve: of no other URL is it known how.
func (r *requests) send(ctx context.Context, m Message) error {
	if !isChannel(r.url) {
		return ErrReadOnly
	}
	if m.Kind == Event {
		return bad(errors.New("a channel has no events with arguments"))
	}
	u := *r.url
	q := u.Query()
	for _, name := range []string{"after", "wait", "format"} {
		q.Del(name)
	}
	if m.Event != "" {
		q.Set("event", m.Event)
	}
	u.RawQuery = q.Encode()
	kind := "text/plain;charset=UTF-8"
	if m.Kind == Binary {
		kind = "application/octet-stream"
	}
	ctx, cancel := context.WithTimeout(ctx, r.d.Target.Timeout)
	defer cancel()
	resp, err := r.do(ctx, http.MethodPost, &u, m.Data, map[string]string{"Content-Type": kind})
	if e, ok := errors.AsType[*RefusedError](err); ok && !passing(err) {
		return bad(e)
	}
	if err == nil {
		_, err = r.whole(resp)
	}
	return err
}

func (r *requests) ping(context.Context) (time.Duration, error) { return 0, ErrNoPing }

func (r *requests) end() {
	r.cancel()
	r.client.CloseIdleConnections()
}

func (r *requests) close(context.Context, int, string) error {
	r.end()
	return nil
}

func (r *requests) cut() { r.end() }

// describe says what an answer says of the connection.
func (r *requests) describe(i *Info, resp *http.Response) {
	i.URL, i.CanSend = shown(r.url), isChannel(r.url)
	if resp == nil {
		return
	}
	i.HTTP, i.Header = resp.Proto, resp.Header
	if resp.TLS != nil {
		i.TLS = tls.VersionName(resp.TLS.Version)
	}
}

// mediaType is that of an answer, without parameters.
func mediaType(resp *http.Response) string {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
