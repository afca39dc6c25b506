package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"baro.dev/engineio/internal/payload"
	"baro.dev/internal/webclient"
)

const maxRedirects = 5

// polling is a link of requests: one is under way most of the time, which the server answers when there is something, and those
// by which packets are sent.
type polling struct {
	set    *settings
	client http.Client
	sid    string           // "" until there is one
	rest   []payload.Packet // that came with the answer to the handshake
	max    int              // of a body; 0: none was told
	paused atomic.Bool
	count  atomic.Uint64 // of requests: no cache has seen two alike
}

func newPolling(s *settings) *polling {
	l := &polling{set: s}
	l.client = http.Client{
		Jar:           s.Jar,
		CheckRedirect: follow,
		Transport:     once{webclient.Route{TLS: s.TLS, Proxy: s.Proxy, DialContext: s.DialContext, Timeout: s.Timeout}.Transport()},
	}
	l.count.Store(uint64(time.Now().UnixMilli()))
	return l
}

// once sends a GET no more than once. [http.Transport] sends it again by another connection when one that was used before breaks before the
// answer: which may have been on its way, with packets that the server then thinks have arrived.
type once struct{ webclient.Transport }

func (t once) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		again := *r
		again.Body, again.GetBody = nothing{}, nil // what has a body that cannot be had again is not sent again
		r = &again
	}
	return t.Transport.RoundTrip(r)
}

// nothing is a body without bytes.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) Close() error             { return nil }

// follow says whether a redirect is followed: never from https to what is not.
func follow(r *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https", r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return fmt.Errorf("a redirect from %s to %s is not followed", via[len(via)-1].URL.Scheme, r.URL.Scheme)
	case r.Method != via[0].Method: // it would take the answer of a poll (RFC 9110 15.4.2)
		return fmt.Errorf("a redirect of a %s that makes a %s of it is not followed: 307 or 308 leave it as it is", via[0].Method, r.Method)
	}
	return nil
}

// do sends a request and returns the body of the answer.
func (l *polling) do(ctx context.Context, method string, body []byte) (answer []byte, binary bool, err error) {
	if l.set.RequestTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.set.RequestTimeout)
		defer cancel()
	}
	u := l.set.url(Polling, l.sid)
	u.RawQuery += "&t=" + strconv.FormatUint(l.count.Add(1), 36)
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	for name, values := range l.set.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := l.client.Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok { // whose URL has the id of the session
			err = failed.Err
		}
		return nil, false, fmt.Errorf("engineio/client: polling %s: %w", l.set.base.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, false, refusal(resp)
	}
	limit := l.set.MaxMessage
	if method == http.MethodPost {
		limit = maxRefusal
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(answer)) > limit {
		err = violation("an answer has more than %d bytes", limit)
	}
	return answer, strings.HasPrefix(resp.Header.Get("Content-Type"), "application/octet-stream"), err
}

func (l *polling) open(ctx context.Context) (payload.Packet, error) {
	var first *payload.Packet
	err := l.poll(ctx, func(p payload.Packet) error {
		if first == nil {
			first = &p
		} else {
			l.rest = append(l.rest, p)
		}
		return nil
	})
	if err == nil && first == nil {
		err = violation("the answer to the handshake is empty")
	}
	if err != nil {
		return payload.Packet{}, err
	}
	return *first, nil
}

// poll does one request, and calls f with the packets of the answer.
func (l *polling) poll(ctx context.Context, f func(payload.Packet) error) error {
	body, binary, err := l.do(ctx, http.MethodGet, nil)
	if err != nil {
		return err
	}
	for p, err := range l.set.format.Packets(body, binary) {
		if err != nil {
			return violation("%w", err)
		}
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *polling) serve(ctx context.Context, f func(payload.Packet) error) error {
	for _, p := range l.rest {
		if err := f(p); err != nil {
			return err
		}
	}
	l.rest = nil
	for !l.paused.Load() {
		if err := l.poll(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// pause has serve return as soon as the poll that is under way has been answered.
func (l *polling) pause() { l.paused.Store(true) }

func (l *polling) write(ctx context.Context, packets []payload.Packet) error {
	format := l.set.format
	for len(packets) > 0 {
		n := len(packets)
		if l.max > 0 {
			n, _ = format.Fit(packets, l.max)
			n = max(n, 1)
		}
		body, _ := format.AppendPayload(nil, packets[:n])
		if _, _, err := l.do(ctx, http.MethodPost, body); err != nil {
			return err
		}
		packets = packets[n:]
	}
	return nil
}

func (l *polling) post(payload.Packet) (bool, error) { return false, nil }

func (l *polling) leave(ctx context.Context) {
	_ = l.write(ctx, []payload.Packet{{Type: payload.Close}}) // it ends in any case
}

func (l *polling) cut() { l.client.CloseIdleConnections() }
