package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/webclient"
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
			c, err := t.DialContext(ctx, network, addr)
			if err != nil || version == 2 { // in which a server may be first
				return c, err
			}
			return &asked{Conn: c}, nil
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

// RoundTrip says what package net/http does not: it closes a connection on which something comes unasked, and whoever was about to write his
// request there has that error alone.
func (o overTCP) RoundTrip(r *http.Request) (*http.Response, error) {
	var on atomic.Pointer[asked]
	resp, err := o.Transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		c, _ := info.Conn.(*asked)
		on.Store(c)
	}})))
	if err == nil || r.Context().Err() != nil {
		return webclient.Unswitched(resp), err
	}
	c := on.Load()
	switch {
	case c != nil && c.unasked.Load(), strings.Contains(err.Error(), unasked):
		err = ErrUnasked
	case errors.Is(err, net.ErrClosed): // and not by whoever asks
		err = fmt.Errorf("the connection ended before the request was sent: %w", io.ErrUnexpectedEOF)
	}
	return nil, err
}

// unasked is how package net/http says that, as of Go 1.26, in an error that it formats wrongly: over TLS there is nothing else to know it by.
const unasked = "readLoopPeekFailLocked: %!w(<nil>)"

// asked is a connection that knows whether something came before anything was sent.
type asked struct {
	net.Conn
	sent, unasked atomic.Bool
}

func (c *asked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.sent.Load() {
		c.unasked.Store(true)
	}
	return n, err
}

func (c *asked) Write(p []byte) (int, error) {
	c.sent.Store(true)
	return c.Conn.Write(p)
}

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
