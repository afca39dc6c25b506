package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// errCut is what a connection ends with that a cutter has cut.
var errCut = errors.New("the connection was cut")

// A cutter dials connections that break at a random place: in the middle of a head, of a frame, of an answer.
type cutter struct {
	off  atomic.Bool // new connections remain whole
	cuts atomic.Int64
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || c.off.Load() {
		return conn, err
	}
	k := &cutConn{Conn: conn, by: c}
	// From 64 bytes to 4 MiB, all sizes alike, so that some get through that are longer than an answer to a poll.
	k.left.Store(int64(1) << (6 + rand.IntN(16)) * (100 + rand.Int64N(100)) / 100)
	k.timer = time.AfterFunc(5*time.Millisecond+rand.N(3*time.Second), k.cut)
	return k, nil
}

// client is an HTTP client whose connections are cut.
func (c *cutter) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: c.dial}, Timeout: time.Minute}
}

// cutConn is a connection that is going to be cut when so many bytes have been read, or at a certain time.
type cutConn struct {
	net.Conn
	by    *cutter
	left  atomic.Int64
	timer *time.Timer
	once  sync.Once
}

func (c *cutConn) cut() {
	c.once.Do(func() {
		c.by.cuts.Add(1)
		if t, ok := c.Conn.(*net.TCPConn); ok && rand.IntN(4) > 0 {
			_ = t.SetLinger(0) // RST
		}
		_ = c.Conn.Close()
	})
}

func (c *cutConn) Read(p []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		c.cut()
		return 0, errCut
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(-int64(n))
	return n, err
}

// Write cuts now and then in the middle of what is written.
func (c *cutConn) Write(p []byte) (int, error) {
	if len(p) > 1 && rand.IntN(500) == 0 {
		n, _ := c.Conn.Write(p[:1+rand.IntN(len(p)-1)])
		c.cut()
		return n, errCut
	}
	return c.Conn.Write(p)
}

func (c *cutConn) Close() error {
	c.timer.Stop()
	return c.Conn.Close()
}
