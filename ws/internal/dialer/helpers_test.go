package dialer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// secret is the password of every test: no error may show it, plain or as it travels.
const secret = "s3cret"

// listen serves every connection to a loopback address with handle, and at the end of the test waits for all of them.
func listen(t *testing.T, handle func(net.Conn)) (addr string) {
	t.Helper()
	return serve(t, "tcp", "127.0.0.1:0", handle)
}

func serve(t *testing.T, network, addr string, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handlers.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		handlers.Wait()
	})
	return l.Addr().String()
}

func echo(conn net.Conn) { io.Copy(conn, conn) }

// secured is handle behind a TLS handshake, which may fail.
func secured(config *tls.Config, handle func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		c := tls.Server(conn, config)
		if c.Handshake() == nil {
			handle(c)
		}
	}
}

// script reads a request's head, answers, and then waits for the other side to close.
func script(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, answer)
			io.Copy(io.Discard, conn)
		}
	}
}

// hangUp is script, but closes after the answer.
func hangUp(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			io.WriteString(conn, answer)
		}
	}
}

// connectProxy tunnels to wherever it is asked, and hands what it was asked to seen.
func connectProxy(seen func(*http.Request)) func(net.Conn) {
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		seen(req)
		server, err := net.Dial("tcp", req.Host)
		if err != nil {
			io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nServer: test\r\n\r\n")
		relay(conn, r, server)
	}
}

// relay carries bytes both ways until the client closes.
func relay(client net.Conn, fromClient io.Reader, server net.Conn) {
	done := make(chan struct{})
	go func() {
		io.Copy(client, server)
		close(done)
	}()
	io.Copy(server, fromClient)
	server.Close()
	<-done
}

// socksProxy is a SOCKS5 proxy (RFC 1928) that resolves every name to loopback; with a password (RFC 1929) where user is set.
func socksProxy(user string, seen func(addr string)) func(net.Conn) {
	return func(conn net.Conn) {
		addr, err := socksRequest(conn, user)
		if err != nil {
			return
		}
		seen(addr)
		_, port, _ := net.SplitHostPort(addr)
		server, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 9})
		relay(conn, conn, server)
	}
}

func socksRequest(conn net.Conn, user string) (addr string, err error) {
	read := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(conn, b)
		}
		return b
	}
	methods := read(int(read(2)[1]))
	method := byte(0)
	if user != "" {
		method = 2
	}
	if err == nil && !bytes.Contains(methods, []byte{method}) {
		conn.Write([]byte{5, 0xff})
		return "", errors.New("no acceptable method")
	}
	conn.Write([]byte{5, method})
	if user != "" {
		name := read(int(read(2)[1]))
		password := read(int(read(1)[0]))
		if string(name) != user || string(password) != secret {
			conn.Write([]byte{1, 1})
			return "", errors.New("wrong password")
		}
		conn.Write([]byte{1, 0})
	}
	var host string
	switch read(4)[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	port := read(2)
	return net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1]))), err
}

// tracker counts the connections that are open.
type tracker struct {
	dial func(context.Context, string, string) (net.Conn, error)
	open atomic.Int64
}

func (tr *tracker) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := tr.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	tr.open.Add(1)
	return &trackedConn{Conn: conn, closed: sync.OnceFunc(func() { tr.open.Add(-1) })}, nil
}

type trackedConn struct {
	net.Conn
	closed func()
}

func (c *trackedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// direct is no proxy, whatever the environment of the test.
func direct(*url.URL) (*url.URL, error) { return nil, nil }

// via is the proxy at a URL.
func via(proxy string) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) { return url.Parse(proxy) }
}

func mustParse(t *testing.T, s string) *Target {
	t.Helper()
	target, err := ParseURL(s)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// dialOK dials, lets bytes go there and back, and returns the open connection.
func dialOK(t *testing.T, c *Config, u string) net.Conn {
	t.Helper()
	conn, err := c.Dial(t.Context(), mustParse(t, u))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	const message = "there and back"
	if _, err := io.WriteString(conn, message); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(message))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != message {
		t.Fatalf("got %q, %v", got, err)
	}
	return conn
}

// dialFails dials, wants an error of the phase that matches want where that is set, and no connection left.
func dialFails(t *testing.T, ctx context.Context, c *Config, u string, phase Phase, want error) *Error {
	t.Helper()
	counted := *c
	tr := &tracker{dial: c.DialContext}
	if tr.dial == nil {
		tr.dial = new(net.Dialer).DialContext
	}
	counted.DialContext = tr.DialContext
	conn, err := counted.Dial(ctx, mustParse(t, u))
	if err == nil {
		conn.Close()
		t.Fatal("no error")
	}
	if conn != nil {
		t.Errorf("a connection beside the error: %v", conn)
	}
	if n := tr.open.Load(); n != 0 {
		t.Errorf("%d connections left open", n)
	}
	var e *Error
	if !errors.As(err, &e) || e.Phase != phase || want != nil && !errors.Is(err, want) {
		t.Errorf("got %v; want phase %q and %v", err, phase, want)
	}
	s := err.Error()
	if strings.Contains(s, secret) || strings.Contains(s, base64.StdEncoding.EncodeToString([]byte("ann:"+secret))) {
		t.Errorf("the error shows the password: %s", s)
	}
	if len(s) > 300 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		t.Errorf("not fit for a log: %q", s)
	}
	return e
}
