package ws_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
