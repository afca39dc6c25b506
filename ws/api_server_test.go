package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// dialTo connects to handler over ws, wss or h2.
func dialTo(t testing.TB, handler http.Handler, how string) func() *ws.Conn {
	t.Helper()
	var url string
	d := &ws.DialOptions{}
	switch how {
	case "ws":
		url = serve(t, handler)
	case "wss":
		u, roots := serveTLS(t, handler)
		url, d = u, overTLS(roots)
	case "h2":
		u, roots := serveTLS(t, handler)
		url, d = u, overHTTP2(t, roots)
	}
	return func() *ws.Conn {
		t.Helper()
		c, _, err := ws.Dial(t.Context(), url, d)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseNow() })
		return c
	}
}

// eachHTTP runs test over every HTTP.
func eachHTTP(t *testing.T, test func(t *testing.T, how string)) {
	for _, how := range []string{"ws", "wss", "h2"} {
		t.Run(how, func(t *testing.T) { test(t, how) })
	}
}

// The handlers of one connection run one after another: OnOpen, OnMessage for each message in order, OnClose.
func TestServerOrder(t *testing.T) {
	const messages = 50
	eachHTTP(t, func(t *testing.T, how string) {
		events := make(chan string, messages+10)
		var within atomic.Int32
		event := func(c *ws.Socket, format string, args ...any) {
			if within.Add(1) != 1 {
				t.Error("two handlers of one connection at a time")
			}
			defer within.Add(-1)
			c.Data = append(c.Data.([]int), 1)
			events <- fmt.Sprintf(format, args...)
		}
		server := &ws.Server{
			OnOpen: func(c *ws.Socket, r *http.Request) {
				c.Data = []int{}
				event(c, "open %s", r.URL.Query().Get("q"))
				c.Send(ws.Text, []byte("welcome"))
			},
			OnMessage: func(c *ws.Socket, m ws.Message) { event(c, "message %s", m.Data) },
			OnClose: func(c *ws.Socket, err error) {
				event(c, "close %d", ws.CloseStatus(err))
				if err != c.Err() || c.Send(ws.Text, nil) == nil {
					t.Error(err, c.Err())
				}
				close(events)
			},
		}
		c := dialTo(t, server, how)()
		mustRead(t, c, "welcome")
		for i := range messages {
			mustWrite(t, c, fmt.Sprint(i))
		}
		if err := c.Close(t.Context(), 4321, ""); err != nil {
			t.Fatal(err)
		}
		want := []string{"open "}
		for i := range messages {
			want = append(want, fmt.Sprint("message ", i))
		}
		want = append(want, "close 4321")
		for e := range events {
			if len(want) == 0 || e != want[0] {
				t.Fatalf("%q, want %q", e, want[:1])
			}
			want = want[1:]
		}
		if len(want) > 0 {
			t.Error("missing:", want)
		}
	})
}

// A handler that panics costs its own connection only, and says so in the log.
func TestServerPanic(t *testing.T) {
	eachHTTP(t, func(t *testing.T, how string) {
		var log syncBuffer
		closed := make(chan error, 10)
		server := &ws.Server{
			Options: ws.AcceptOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))},
			OnOpen: func(c *ws.Socket, r *http.Request) {
				if r.URL.Path == "/open" {
					panic("in OnOpen")
				}
			},
			OnMessage: func(c *ws.Socket, m ws.Message) {
				if m.String() == "panic" {
					panic(errors.New("in OnMessage"))
				}
				c.Send(m.Type, m.Data)
			},
			OnClose: func(c *ws.Socket, err error) {
				closed <- err
				if strings.Contains(fmt.Sprint(err), "OnMessage") {
					panic("in OnClose")
				}
			},
		}
		dial := dialTo(t, server, how)
		other, c := dial(), dial()
		mustWrite(t, c, "panic")
		mustWrite(t, c, "not handled")
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusInternalError || strings.Contains(err.Error(), "OnMessage") {
			t.Error(err) // the peer is not told what is none of its business
		}
		c.CloseNow()
		if err := <-closed; ws.CloseStatus(err) != ws.StatusInternalError || !strings.Contains(err.Error(), "in OnMessage") {
			t.Error(err)
		}
		mustWrite(t, other, "lives")
		mustRead(t, other, "lives")
		other.Close(t.Context(), ws.StatusNormalClosure, "")
		if err := <-closed; ws.CloseStatus(err) != ws.StatusNormalClosure {
			t.Error(err)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{"handler panicked", "in OnMessage", "in OnClose", "api_server_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not have %q: %.300s", want, log.String())
			}
		}
	})
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A connection may be closed from its own OnOpen, and nothing is delivered after that.
func TestServerCloseInOpen(t *testing.T) {
	eachHTTP(t, func(t *testing.T, how string) {
		closed := make(chan error, 1)
		server := &ws.Server{
			OnOpen:    func(c *ws.Socket, r *http.Request) { c.Close(4003, "not you") },
			OnMessage: func(c *ws.Socket, m ws.Message) { t.Errorf("%q after Close", m.Data) },
			OnClose:   func(c *ws.Socket, err error) { closed <- err },
		}
		c := dialTo(t, server, how)()
		c.Write(t.Context(), ws.Text, []byte("too late"))
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != 4003 {
			t.Error(err)
		}
		if err := <-closed; ws.CloseStatus(err) != 4003 || !errors.Is(err, ws.ErrClosed) {
			t.Error(err)
		}
	})
}

// Shutdown lets busy connections finish what they are at: what was queued leaves, then 1001, and when Shutdown
// returns every handler has returned.
func TestShutdownBusy(t *testing.T) {
	eachHTTP(t, func(t *testing.T, how string) {
		const conns = 5
		var open atomic.Int32
		handling := make(chan struct{}, conns)
		server := &ws.Server{
			OnOpen: func(c *ws.Socket, r *http.Request) { open.Add(1) },
			OnMessage: func(c *ws.Socket, m ws.Message) {
				handling <- struct{}{}
				time.Sleep(10 * time.Millisecond) // busy
				for range 20 {
					if err := c.Send(m.Type, []byte(text(10_000, 0))); err != nil && ws.CloseStatus(err) != ws.StatusGoingAway {
						t.Error(err)
					}
				}
			},
			OnClose: func(c *ws.Socket, err error) {
				time.Sleep(5 * time.Millisecond)
				if ws.CloseStatus(err) != ws.StatusGoingAway {
					t.Error(err)
				}
				open.Add(-1)
			},
		}
		dial := dialTo(t, server, how)
		var wg sync.WaitGroup
		for range conns {
			c := dial()
			mustWrite(t, c, "work")
			wg.Go(func() {
				for m, err := range c.Messages(t.Context()) {
					if err != nil || m.String() != text(10_000, 0) {
						t.Error(len(m.Data), err)
					}
				}
				if ws.CloseStatus(c.Err()) != ws.StatusGoingAway {
					t.Error(c.Err())
				}
			})
		}
		for range conns {
			<-handling
		}
		if n := server.Len(); n != conns {
			t.Errorf("%d connections", n)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := open.Load(); n != 0 {
			t.Errorf("%d handlers have not returned", n)
		}
		if n := server.Len(); n != 0 {
			t.Errorf("%d connections", n)
		}
		wg.Wait()
		// No new ones, and again is nothing.
		if _, resp, err := ws.Dial(t.Context(), serve(t, server), nil); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Error(resp, err)
		}
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Peers that do not answer are not waited for beyond the context, nor are handlers that do not return.
func TestShutdownCut(t *testing.T) {
	sent, closed := make(chan struct{}), make(chan struct{})
	server := &ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) {
			for c.Buffered() == 0 {
				c.Send(ws.Text, []byte(text(900_000, 0)))
			}
			close(sent)
		},
		OnClose: func(*ws.Socket, error) { close(closed) },
	}
	c := dialTo(t, server, "ws")()
	c.UnderlyingConn().(*net.TCPConn).SetReadBuffer(4 << 10)
	mustWrite(t, c, "fill the pipe") // and do not read what comes
	<-sent
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errCancelled)
	defer cancel()
	start := time.Now()
	if err := server.Shutdown(ctx); !errors.Is(err, errCancelled) {
		t.Error(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	<-closed
}

// Serve is a front door of its own.
func TestServe(t *testing.T) {
	server := &ws.Server{OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) }}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	c, _, err := ws.Dial(t.Context(), "ws://"+l.Addr().String()+"/any/path?x=y", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	mustWrite(t, c, "hello")
	mustRead(t, c, "hello")
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired && resp.StatusCode != http.StatusBadRequest {
		t.Error(resp.Status)
	}
	go func() {
		c.Read(t.Context())
	}()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != ws.ErrServerClosed {
		t.Error(err)
	}
	<-c.Done()
	if ws.CloseStatus(c.Err()) != ws.StatusGoingAway {
		t.Error(c.Err())
	}
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(l); err != ws.ErrServerClosed {
		t.Error(err)
	}
}

// Close of a Server ends everything at once.
func TestServerClose(t *testing.T) {
	eachHTTP(t, func(t *testing.T, how string) {
		var open sync.WaitGroup
		open.Add(3)
		closed := make(chan error, 3)
		server := &ws.Server{
			OnOpen:  func(*ws.Socket, *http.Request) { open.Done() },
			OnClose: func(_ *ws.Socket, err error) { closed <- err },
		}
		dial := dialTo(t, server, how)
		conns := []*ws.Conn{dial(), dial(), dial()}
		open.Wait()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range conns {
			if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
				t.Error(err)
			}
			if err := <-closed; !errors.Is(err, ws.ErrClosed) {
				t.Error(err)
			}
		}
	})
}

// A Socket is used from anywhere: by handlers, by other connections' handlers, by goroutines of its own.
func TestSocketsConcurrently(t *testing.T) {
	const conns, each = 6, 30
	eachHTTP(t, func(t *testing.T, how string) {
		var open sync.WaitGroup
		open.Add(conns)
		var mu sync.Mutex
		room := map[*ws.Socket]bool{}
		server := &ws.Server{
			Options: ws.AcceptOptions{Queue: ws.Queue{Full: ws.Block}},
			OnOpen: func(c *ws.Socket, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				room[c] = true
				open.Done()
			},
			OnMessage: func(c *ws.Socket, m ws.Message) {
				p, err := ws.NewPreparedMessage(m.Type, bytes.Clone(m.Data))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for member := range room {
					if err := member.SendPrepared(p); err != nil {
						t.Error(err)
					}
					if err := member.Ping(); err != nil {
						t.Error(err)
					}
				}
			},
			OnClose: func(c *ws.Socket, err error) {
				mu.Lock()
				defer mu.Unlock()
				delete(room, c)
			},
		}
		dial := dialTo(t, server, how)
		var members []*ws.Conn
		for range conns {
			members = append(members, dial())
		}
		open.Wait()
		var wg sync.WaitGroup
		for id, c := range members {
			wg.Go(func() {
				for seq := range each {
					if err := c.Write(t.Context(), ws.Text, fmt.Append(nil, id, " ", seq)); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				next := make([]int, conns)
				for range conns * each {
					m, err := c.Read(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					var from, seq int
					fmt.Sscan(m.String(), &from, &seq)
					if seq != next[from] {
						t.Errorf("message %d of %d, want %d", seq, from, next[from])
					}
					next[from]++
				}
			})
		}
		wg.Wait()
	})
}
