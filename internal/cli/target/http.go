package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// maxRedirects is how many redirects are followed, as package ws does.
const maxRedirects = 5

// maxResponseHeader is how large the head of an answer may be, in bytes.
const maxResponseHeader = 256 << 10

// HTTPClient returns a client for the target's scheme http or https, by version 1, 2 or 3 of HTTP alone, or for 0 by 1 or 2, whichever is agreed
// on. Requests are to have the target's Header, which the client does not add, and a context that bounds them: only connecting has a
// bound of its own. No redirect leaves http and https, none goes from https to http, and to another host go none of the Header's fields.
// Its CloseIdleConnections ends it: over HTTP/3 also the connections in use.
func (t *Target) HTTPClient(version int) *http.Client {
	c := &http.Client{CheckRedirect: t.checkRedirect}
	if version == 3 {
		c.Transport = t.http3()
		return c
	}
	tr := &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) { return t.Proxy(r.URL) },
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("no connection within %s", t.Timeout))
			defer cancel()
			return t.DialContext(ctx, network, addr)
		},
		TLSClientConfig:        t.TLS.Clone(),
		TLSHandshakeTimeout:    t.Timeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		IdleConnTimeout:        90 * time.Second,
		Protocols:              new(http.Protocols),
	}
	tr.Protocols.SetHTTP1(version != 2)
	tr.Protocols.SetHTTP2(version != 1)
	tr.Protocols.SetUnencryptedHTTP2(version == 2)
	c.Transport = overTCP{tr}
	return c
}

// ErrUnasked is what a request ends with where something else than a web server says its own before it is asked, as one of mail or SSH does.
// Where the request is faster the error is of what is no answer of HTTP.
var ErrUnasked = errors.New("what listens there speaks before it is asked, as no web server does")

// overTCP is HTTP/1.1 and HTTP/2.
type overTCP struct{ *http.Transport }

func (o overTCP) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.Transport.RoundTrip(r)
	if err != nil && strings.Contains(err.Error(), unasked) {
		err = ErrUnasked
	}
	return resp, err
}

// unasked is how package net/http says that, as of Go 1.26, in an error that it formats wrongly.
const unasked = "readLoopPeekFailLocked: %!w(<nil>)"

func (t *Target) checkRedirect(r *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return fmt.Errorf("a redirect to a URL of scheme %q", r.URL.Scheme)
	case from.Scheme == "https" && r.URL.Scheme == "http":
		return errors.New("a redirect from https to http")
	}
	if r.URL.Host != via[0].URL.Host {
		for name := range t.Header {
			r.Header.Del(name)
		}
	}
	return nil
}

// overQUIC is HTTP/3, which knows no proxy and no unix socket.
type overQUIC struct {
	*http3.Transport
	refuse error
}

func (t *Target) http3() *overQUIC {
	config := t.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	tr := &http3.Transport{
		TLSClientConfig:        config,
		QUICConfig:             &quic.Config{HandshakeIdleTimeout: t.Timeout, KeepAlivePeriod: 15 * time.Second},
		MaxResponseHeaderBytes: maxResponseHeader,
	}
	q := &overQUIC{Transport: tr}
	if t.address == nil {
		q.refuse = errors.New("HTTP/3 is not spoken over a unix socket")
		return q
	}
	tr.Dial = func(ctx context.Context, addr string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
		return quic.DialAddrEarly(ctx, t.address(addr), tlsConfig, config)
	}
	return q
}

func (q *overQUIC) RoundTrip(r *http.Request) (*http.Response, error) {
	if q.refuse != nil {
		return nil, q.refuse
	}
	if r.URL.Scheme != "https" {
		return nil, errors.New("HTTP/3 is spoken by https alone")
	}
	return q.Transport.RoundTrip(r)
}

func (q *overQUIC) CloseIdleConnections() { _ = q.Close() }
