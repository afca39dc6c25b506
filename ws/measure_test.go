package ws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// How long a peer takes to answer a ping is told.
func TestOnPong(t *testing.T) {
	took := make(chan time.Duration, 100)
	s := &ws.Server{Options: ws.AcceptOptions{Keepalive: ws.Keepalive{
		Interval: 20 * time.Millisecond, Timeout: time.Minute, OnPong: func(d time.Duration) { took <- d },
	}}}
	front := httptest.NewServer(s)
	defer front.Close()
	defer s.Close()
	begun := time.Now()
	c, _, err := ws.Dial(t.Context(), front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	go c.Read(context.WithoutCancel(t.Context()))
	for range 3 {
		select {
		case d := <-took:
			if d < 0 || d > time.Since(begun) {
				t.Errorf("a ping took %v", d)
			}
		case <-time.After(time.Minute):
			t.Fatal("nothing is told")
		}
	}
}

// Whoever asks is told when a message has been sent to all, and what waits can be seen.
func TestOnSent(t *testing.T) {
	var mu sync.Mutex
	var all []*ws.Socket
	opened := make(chan struct{}, 10)
	s := &ws.Server{
		Options: ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 64 << 20}},
		OnOpen: func(c *ws.Socket, _ *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c)
			_ = c.Subscribe("a")
			opened <- struct{}{}
		},
	}
	front := httptest.NewServer(s)
	defer front.Close()
	defer s.Close()
	var conns []*ws.Conn
	for range 3 {
		c, _, err := ws.Dial(t.Context(), front.URL, &ws.DialOptions{Limits: ws.Limits{MaxMessageSize: -1}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		conns = append(conns, c)
		<-opened
	}
	prepare := func(n int) (m *ws.PreparedMessage, wait func()) {
		m, err := ws.NewPreparedMessage(ws.Binary, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan struct{}, 100) // by each loop
		m.OnSent(func() { sent <- struct{}{} })
		return m, func() {
			t.Helper()
			select {
			case <-sent:
			case <-time.After(time.Minute):
				t.Fatal("nobody is told")
			}
		}
	}
	m, wait := prepare(10)
	s.Multicast(all, m)
	wait()
	m, wait = prepare(10)
	s.PublishPrepared("a", m)
	wait()
	m, wait = prepare(10)
	another, waitToo := prepare(20)
	s.Multicast(all, m, another)
	wait()
	waitToo()
	for _, c := range conns {
		for range 4 {
			if _, err := c.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := s.Buffered(); n != 0 {
		t.Errorf("%d bytes wait", n)
	}
	m, wait = prepare(40 << 20)
	s.Multicast(all[:1], m) // nobody reads
	wait()
	if n := s.Buffered(); n < 1<<20 || n > 41<<20 {
		t.Errorf("%d bytes wait", n)
	}
}
