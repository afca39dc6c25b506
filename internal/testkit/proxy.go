package testkit

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
)

// A Proxy is one of HTTP (CONNECT, and requests of whole URLs) and SOCKS5 at the same time. Any name leads it to 127.0.0.1.
type Proxy struct {
	Addr string
	// Carried counts the tunnels and requests that were let through.
	Carried atomic.Int64

	user, password string
}

// NewProxy starts a proxy on loopback, until the end of the test. It wants a name and a password unless user is "".
func NewProxy(t testing.TB, user, password string) *Proxy {
	t.Helper()
	p := &Proxy{user: user, password: password}
	p.Addr = Serve(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		if first, err := in.Peek(1); err == nil && first[0] == 5 {
			p.socks(c, in)
		} else {
			p.http(c, in)
		}
	})
	return p
}

// http serves requests, one after the other (RFC 9110 9.3.6, RFC 9112 3.2.2).
func (p *Proxy) http(c net.Conn, in *bufio.Reader) {
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.user+":"+p.password))
		if p.user != "" && r.Header.Get("Proxy-Authorization") != want {
			_, _ = io.Copy(io.Discard, r.Body)
			fmt.Fprint(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=test\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		_, port, err := net.SplitHostPort(r.Host)
		if err != nil {
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		to, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		p.Carried.Add(1)
		if r.Method == http.MethodConnect {
			fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\n\r\n")
			relay(c, in, to)
			return
		}
		r.Header.Del("Proxy-Authorization")
		r.Close = true
		if r.Write(to) == nil {
			_, _ = io.Copy(c, to) // to the end of the answer, after which both close
		}
		to.Close()
		return
	}
}

// socks serves one connection (RFC 1928, RFC 1929).
func (p *Proxy) socks(c net.Conn, in *bufio.Reader) {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(in, b) // what is missing is wrong below
		return b
	}
	methods := read(int(read(2)[1]))
	method := byte(0)
	if p.user != "" {
		method = 2
	}
	for _, m := range methods {
		if m == method {
			methods = nil
		}
	}
	if methods != nil {
		_, _ = c.Write([]byte{5, 0xff})
		return
	}
	_, _ = c.Write([]byte{5, method})
	if method == 2 {
		user := read(int(read(2)[1]))
		password := read(int(read(1)[0]))
		if string(user) != p.user || string(password) != p.password {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	}
	switch read(4)[3] {
	case 1:
		read(4)
	case 3:
		read(int(read(1)[0]))
	case 4:
		read(16)
	}
	to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", binary.BigEndian.Uint16(read(2))))
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	p.Carried.Add(1)
	_, _ = c.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	relay(c, in, to)
}

// relay carries bytes both ways until both sides have ended.
func relay(c net.Conn, in io.Reader, to net.Conn) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(c, to)
		c.Close()
	}()
	_, _ = io.Copy(to, in)
	to.Close()
	<-back
}
