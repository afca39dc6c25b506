package dialer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

func TestDialTCP(t *testing.T) {
	addr := listen(t, echo)
	conn := dialOK(t, &Config{Proxy: direct}, "ws://"+addr+"/path")
	if _, ok := conn.(*net.TCPConn); !ok {
		t.Errorf("got %T, not the *net.TCPConn itself", conn)
	}
}

func TestDialIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on loopback")
	}
	l.Close()
	ca := newAuthority(t)
	addr := serve(t, "tcp", "[::1]:0", secured(ca.server(t, "::1"), echo))
	dialOK(t, &Config{Proxy: direct, TLS: &tls.Config{RootCAs: ca.pool}}, "wss://"+addr+"/")
}

func TestDialUnix(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	noProxy := func(*url.URL) (*url.URL, error) { return nil, errors.New("a Unix socket goes through no proxy") }

	plain := serve(t, "unix", filepath.Join(dir, "a:b.sock"), echo)
	conn := dialOK(t, &Config{Proxy: noProxy}, "ws+unix://"+strings.ReplaceAll(plain, ":", "%3A")+":/chat")
	if _, ok := conn.(*net.UnixConn); !ok {
		t.Errorf("got %T", conn)
	}
	overTLS := serve(t, "unix", filepath.Join(dir, "tls.sock"), secured(ca.server(t, "localhost"), echo))
	dialOK(t, &Config{Proxy: noProxy, TLS: &tls.Config{RootCAs: ca.pool}}, "wss+unix://"+overTLS)

	e := dialFails(t, t.Context(), &Config{}, "ws+unix://"+dir+"/none:/", PhaseDial, nil)
	if e.Addr != dir+"/none" {
		t.Errorf("got %q", e.Addr)
	}
}

func TestDialContextOption(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct{ url, proxy, network, addr string }{
		{"ws://Example.com/x", "", "tcp", "example.com:80"},
		{"wss://[::1]/x", "", "tcp", "[::1]:443"},
		{"ws://[fe80::1%25lo]:1/", "", "tcp", "[fe80::1%lo]:1"},
		{"ws+unix:///a.sock:/x", "http://proxy", "unix", "/a.sock"},
		{"ws://example.com/x", "http://proxy", "tcp", "proxy:80"},
		{"ws://example.com/x", "https://proxy", "tcp", "proxy:443"},
		{"ws://example.com/x", "socks5://ann:" + secret + "@proxy", "tcp", "proxy:1080"},
		{"ws://example.com/x", "socks5h://[::1]:9", "tcp", "[::1]:9"},
	} {
		find := direct
		if c.proxy != "" {
			find = via(c.proxy)
		}
		var network, addr string
		dialFails(t, t.Context(), &Config{Proxy: find, DialContext: func(_ context.Context, n, a string) (net.Conn, error) {
			network, addr = n, a
			return nil, refused
		}}, c.url, PhaseDial, refused)
		if network != c.network || addr != c.addr {
			t.Errorf("%s by %q: dialed %s %s", c.url, c.proxy, network, addr)
		}
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	e := dialFails(t, t.Context(), &Config{Proxy: direct}, "ws://"+addr, PhaseDial, nil)
	var op *net.OpError
	if !errors.As(e, &op) || e.Addr != addr || e.Timeout() {
		t.Errorf("got %v", e)
	}
	e = dialFails(t, t.Context(), &Config{Proxy: via("http://ann:" + secret + "@" + addr)}, "ws://example.com", PhaseDial, nil)
	if e.Addr != "http://"+addr {
		t.Errorf("got %v", e)
	}
}

func TestTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	server := ca.server(t, "127.0.0.1", "other.example")
	server.NextProtos = []string{"h2", "http/1.1"}
	names := make(chan string, 1)
	server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		names <- hello.ServerName
		return nil, nil
	}
	addr := listen(t, secured(server, echo))

	for _, serverName := range []string{"", "other.example"} {
		config := &Config{Proxy: direct, TLS: &tls.Config{
			RootCAs: ca.pool, ServerName: serverName, NextProtos: []string{"h2"},
		}}
		conn := dialOK(t, config, "wss://"+addr)
		state := conn.(*tls.Conn).ConnectionState()
		if state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("ALPN %q", state.NegotiatedProtocol)
		}
		if got := <-names; got != serverName {
			t.Errorf("SNI %q, want %q", got, serverName)
		}
		if config.TLS.ServerName != serverName || config.TLS.NextProtos[0] != "h2" {
			t.Error("the caller's tls.Config was changed")
		}
	}

	for _, c := range []struct {
		name   string
		config *tls.Config
		target any
	}{
		{"system roots", nil, new(x509.UnknownAuthorityError)},
		{"other roots", &tls.Config{RootCAs: stranger.pool}, new(x509.UnknownAuthorityError)},
		{"wrong name", &tls.Config{RootCAs: ca.pool, ServerName: "wrong.example"}, new(x509.HostnameError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := dialFails(t, t.Context(), &Config{Proxy: direct, TLS: c.config}, "wss://"+addr, PhaseTLS, nil)
			<-names
			var verification *tls.CertificateVerificationError
			if !errors.As(e, &verification) || !errors.As(e, c.target) || e.Addr != addr {
				t.Errorf("got %v", e)
			}
		})
	}
}

func TestTLSClientCertificate(t *testing.T) {
	ca := newAuthority(t)
	server := ca.server(t, "127.0.0.1")
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca.pool
	server.MaxVersion = tls.VersionTLS12 // in which the handshake itself tells the client
	addr := listen(t, secured(server, echo))

	config := &tls.Config{RootCAs: ca.pool}
	dialFails(t, t.Context(), &Config{Proxy: direct, TLS: config}, "wss://"+addr, PhaseTLS, nil)
	config.Certificates = []tls.Certificate{ca.issue(t, "client")}
	dialOK(t, &Config{Proxy: direct, TLS: config}, "wss://"+addr)
}

func TestTLSFailures(t *testing.T) {
	ca := newAuthority(t)
	other := ca.server(t, "127.0.0.1")
	other.NextProtos = []string{"imap"}
	for _, c := range []struct {
		name   string
		handle func(net.Conn)
	}{
		{"closes", func(net.Conn) {}},
		{"plain HTTP", hangUpAfterHello("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"garbage", hangUpAfterHello("\x16\x03\x03\xff\xff" + strings.Repeat("x", 1<<16))},
		{"no common protocol", secured(other, echo)},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := listen(t, c.handle)
			dialFails(t, t.Context(), &Config{Proxy: direct, TLS: &tls.Config{RootCAs: ca.pool}}, "wss://"+addr, PhaseTLS, nil)
		})
	}
}

func hangUpAfterHello(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, answer)
	}
}
