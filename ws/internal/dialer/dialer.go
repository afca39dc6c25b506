// Package dialer gets a WebSocket client its byte stream: it reads the URL, finds the proxy, connects over TCP or a Unix
// socket, tunnels (HTTP CONNECT, SOCKS5) and does the TLS handshake. The opening handshake is the caller's.
package dialer

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
)

// DefaultMaxHeaderBytes bounds a proxy's answer to CONNECT where Config says nothing else.
const DefaultMaxHeaderBytes = 64 << 10

// Config says how to reach a server. The zero value is ready: direct or through the environment's proxy, TLS against the
// system's roots. A Config is only read, so that any number of Dial calls may share one.
type Config struct {
	// TLS is for the server: roots, client certificates, SNI. Cloned. ServerName defaults to the URL's host; NextProtos is
	// always "http/1.1", because an HTTP/1.1 upgrade is what follows.
	TLS *tls.Config

	// ProxyTLS is the same for an https:// proxy. The two are apart so that neither the server's client certificates nor its
	// ServerName nor an InsecureSkipVerify meant for it reach a proxy. nil: the system's roots.
	ProxyTLS *tls.Config

	// Proxy returns the proxy for a URL, whose scheme is http (for ws) or https (for wss); nil is a direct connection.
	// The proxy's scheme is http, https, socks5 or socks5h, its userinfo the credentials. Both SOCKS schemes let the proxy
	// resolve names, as net/http does. Unix sockets never go through a proxy. Default: ProxyFromEnvironment.
	Proxy func(*url.URL) (*url.URL, error)

	// ProxyHeader is sent with CONNECT. A Proxy-Authorization in it wins over the proxy's userinfo.
	ProxyHeader http.Header

	// DialContext makes the connection, to the proxy where there is one: network is "tcp" or "unix". Default: a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// MaxHeaderBytes bounds what is read as the proxy's answer to CONNECT. Default: DefaultMaxHeaderBytes.
	MaxHeaderBytes int64
}

// Dial connects to t, a result of ParseURL or Redirect, and returns
//
//   - the very connection that DialContext made (a *net.TCPConn or *net.UnixConn by default) where t has no TLS. Behind a
//     proxy too, unless the proxy is an https one (*tls.Conn) or sent bytes together with its answer to CONNECT: then a
//     wrapper that reads those first;
//   - a *tls.Conn, its handshake done, where t has TLS.
//
// The end of ctx interrupts every phase; afterwards ctx has no effect on the connection. Errors are *Error and name the
// phase. On an error nothing is left open.
func (c *Config) Dial(ctx context.Context, t *Target) (net.Conn, error) {
	conn, err := c.stream(ctx, t)
	if err != nil || !t.TLS {
		return conn, err
	}
	return handshake(ctx, conn, c.TLS, t.URL.Hostname(), t.Address)
}

// stream connects to t, through a proxy where one is configured, without t's own TLS.
func (c *Config) stream(ctx context.Context, t *Target) (net.Conn, error) {
	if t.Network != "tcp" {
		return c.dial(ctx, t.Network, t.Address, t.Address)
	}
	p, err := c.proxyFor(t)
	if err != nil {
		return nil, &Error{Phase: PhaseProxy, Addr: t.Address, Err: err}
	}
	if p == nil {
		return c.dial(ctx, t.Network, t.Address, t.Address)
	}
	conn, err := c.dial(ctx, "tcp", p.address, p.String())
	if err != nil {
		return nil, err
	}
	switch p.scheme {
	case "socks5", "socks5h":
		return p.socks(ctx, conn, t.Address)
	case "https":
		if conn, err = handshake(ctx, conn, c.ProxyTLS, p.host, p.String()); err != nil {
			return nil, err
		}
	}
	return p.connect(ctx, conn, t.Address, c.ProxyHeader, c.MaxHeaderBytes)
}

// dial connects to addr; name is what an error calls it.
func (c *Config) dial(ctx context.Context, network, addr, name string) (net.Conn, error) {
	dial := c.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return nil, &Error{Phase: PhaseDial, Addr: name, Err: err}
	}
	return conn, nil
}

// handshake does a TLS handshake over conn, which it owns: an error closes it.
func handshake(ctx context.Context, conn net.Conn, config *tls.Config, serverName, name string) (net.Conn, error) {
	if config == nil {
		config = new(tls.Config)
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = serverName
	}
	config.NextProtos = []string{"http/1.1"}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &Error{Phase: PhaseTLS, Addr: name, Err: err}
	}
	return secured, nil
}

// interruptible runs f, which talks over conn. The end of ctx closes conn, so that f returns, and is then the error;
// any error leaves conn closed. Closing rather than a deadline in the past, because a caller's own net.Conn may have no
// working deadlines.
func interruptible(ctx context.Context, conn net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := f()
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
	}
	return err
}
