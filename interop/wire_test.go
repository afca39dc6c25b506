package interop

import (
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
)

// A wire stands between a client and a server and counts what passes.
type wire struct {
	url      string // where the client connects
	up, down atomic.Int64
}

// tap puts a wire before the server at the URL.
func tap(t *testing.T, server string) *wire {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	address := target.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	target.Host = l.Addr().String()
	w := &wire{url: target.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.relay(client, address)
		}
	}()
	return w
}

func (w *wire) relay(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		relayOne(client, server, &w.down)
	}()
	relayOne(server, client, &w.up)
	<-done
}

// relayOne copies one direction, and its end.
func relayOne(to, from net.Conn, count *atomic.Int64) {
	_, _ = io.Copy(to, counted{from, count})
	_ = to.(*net.TCPConn).CloseWrite()
}

type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
