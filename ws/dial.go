package ws

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"baro.dev/ws/internal/dialer"
	"baro.dev/ws/internal/handshake"
)

// DialOptions configure the client side. The zero value is ready, and so is a nil *DialOptions.
type DialOptions struct {
	// Subprotocols are those the client speaks, the preferred one first (RFC 6455 1.9).
	Subprotocols []string
	// Header is added to the request: Origin, Cookie, Authorization and the like. Host replaces the URL's host in
	// the request. The headers of the handshake itself cannot be set.
	Header http.Header

	// TLS is for wss: roots, client certificates, the server name. It is cloned.
	TLS *tls.Config
	// Proxy returns the proxy to use for a URL (of scheme http for ws, https for wss): http, https, socks5 or
	// socks5h; nil for none. The default is http.ProxyFromEnvironment's rules. Unix sockets never use one.
	Proxy func(*url.URL) (*url.URL, error)
	// ProxyTLS is for https proxies.
	ProxyTLS *tls.Config
	// ProxyHeader is sent with the CONNECT to an HTTP proxy.
	ProxyHeader http.Header
	// DialContext connects to the host or its proxy; network is "tcp" or "unix". The default is a net.Dialer's.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wrap, if set, is given each connection when it is made, before the opening handshake and above TLS, and returns what is used in its
	// place: for whoever wants to see, or to shape, what passes. Closing that must close the connection, or end its Read and Write.
	Wrap func(net.Conn) net.Conn
	// MaxRedirects is how many redirects are followed. 0 means 5, a negative value none. A redirect from wss to ws
	// is never followed, and Authorization, Cookie and other secrets of Header go to the first host alone.
	MaxRedirects int
	// Streams, if set, opens the WebSocket as a stream of an HTTP/2 or HTTP/3 connection, instead of a connection of
	// its own; packages wsh2 and wsh3 have them. The fields from TLS to MaxRedirects are not used then.
	Streams Streams

	Compression Compression
	Limits      Limits
	Keepalive   Keepalive
	Queue       Queue
	// Logger gets what no caller can be told. nil: silent.
	Logger *slog.Logger
}

const defaultMaxRedirects = 5

// Dial connects to a WebSocket server: ws://, wss:// (http:// and https:// mean the same), ws+unix:///socket:/path. opts may be nil.
//
// ctx and Limits.HandshakeTimeout bound the dialling and the opening handshake; afterwards ctx has no effect on the
// connection. If the server answered, the response is returned, with an error too; up to 1 KiB of its body can be
// read, and nothing needs to be closed. An answer that is not a handshake is a *HandshakeError, the refusal of a
// proxy a *ProxyError.
func Dial(ctx context.Context, rawURL string, opts *DialOptions) (*Conn, *http.Response, error) {
	if opts == nil {
		opts = new(DialOptions)
	}
	target, err := dialer.ParseURL(rawURL)
	if err != nil {
		return nil, nil, fmt.Errorf("ws: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, opts.Limits.handshakeTimeout(), errHandshakeTimeout)
	defer cancel()
	c, resp, err := opts.dial(ctx, target)
	if _, refused := errors.AsType[*HandshakeError](err); err != nil && !refused && ctx.Err() != nil {
		// What failed is a consequence of it.
		err = fmt.Errorf("ws: dial %s: %w", target.URL.Host, context.Cause(ctx))
	}
	return c, resp, err
}

var errHandshakeTimeout error = &sentinel{"opening handshake timed out", context.DeadlineExceeded}

func (o *DialOptions) settings() *settings {
	return newSettings(o.Limits, o.Keepalive, o.Queue, o.Compression, o.Logger)
}

func (o *DialOptions) dial(ctx context.Context, target *dialer.Target) (*Conn, *http.Response, error) {
	offer := &handshake.Offer{
		Subprotocols: o.Subprotocols,
		Deflate:      o.Compression.policy(),
		Header:       o.Header,
	}
	if o.Streams != nil {
		return o.dialStream(ctx, target, offer)
	}
	config := &dialer.Config{
		TLS:            o.TLS,
		Proxy:          o.Proxy,
		ProxyTLS:       o.ProxyTLS,
		ProxyHeader:    o.ProxyHeader,
		DialContext:    o.DialContext,
		MaxHeaderBytes: o.Limits.maxHeaderBytes(),
	}
	for redirects := or(o.MaxRedirects, defaultMaxRedirects, 0); ; redirects-- {
		c, resp, err := o.dialOnce(ctx, config, target, offer)
		if err == nil || resp == nil || !isRedirect(resp) || redirects == 0 {
			return c, resp, err
		}
		next, same, redirectErr := target.Redirect(resp.Header.Get("Location"))
		if redirectErr != nil {
			return nil, resp, fmt.Errorf("ws: %w", redirectErr)
		}
		if !same {
			offer.Header = withoutSecrets(offer.Header)
		}
		target = next
	}
}

func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	}
	return false
}

// withoutSecrets returns h without what is meant for one host.
func withoutSecrets(h http.Header) http.Header {
	h = h.Clone()
	for name := range h {
		switch http.CanonicalHeaderKey(name) {
		case "Authorization", "Cookie", "Cookie2", "Www-Authenticate", "Proxy-Authorization", "Host":
			delete(h, name)
		}
	}
	return h
}

// dialOnce does the opening handshake with one server (RFC 6455 4.1).
func (o *DialOptions) dialOnce(ctx context.Context, config *dialer.Config, target *dialer.Target, offer *handshake.Offer) (*Conn, *http.Response, error) {
	offer.Key = handshake.NewKey()
	req, err := offer.Request(target.URL)
	if err != nil {
		return nil, nil, err
	}
	nc, err := config.Dial(ctx, target)
	if err != nil {
		return nil, nil, fmt.Errorf("ws: %w", err)
	}
	if o.Wrap != nil {
		nc = o.Wrap(nc)
	}
	stop := context.AfterFunc(ctx, func() { giveUp(nc) })
	c, resp, err := o.shake(nc, req, offer)
	if !stop() && err == nil {
		c.CloseNow()
		return nil, resp, context.Cause(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, resp, err
	}
	return c, resp, nil
}

// giveUp has reads and writes return.
func giveUp(nc net.Conn) {
	if nc.SetDeadline(past) != nil {
		nc.Close() // it has no deadlines
	}
}

// bodyTimeout is how long the body of a refusal may take.
const bodyTimeout = time.Second

// shake sends the request over nc and makes a connection of it if the answer is right.
func (o *DialOptions) shake(nc net.Conn, req *http.Request, offer *handshake.Offer) (*Conn, *http.Response, error) {
	if err := req.Write(nc); err != nil {
		return nil, nil, fmt.Errorf("ws: sending the handshake: %w", err)
	}
	br := bufio.NewReaderSize(nc, 1<<10)
	resp, err := handshake.ReadResponse(br, req, o.Limits.maxHeaderBytes())
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, nil, fmt.Errorf("ws: reading the answer to the handshake: %w", err)
	}
	subprotocol, agreed, err := offer.CheckResponse(resp)
	if err != nil {
		defer time.AfterFunc(bodyTimeout, func() { giveUp(nc) }).Stop()
		keepBody(resp)
		return nil, resp, err
	}
	resp.Body = http.NoBody
	early, _ := br.Peek(br.Buffered())
	return newConn(newTransport(nc), o.settings(), nil, true, subprotocol, agreed, early), resp, nil
}
