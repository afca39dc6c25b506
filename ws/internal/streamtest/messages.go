package streamtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

func testEcho(t *testing.T, start Start) {
	sizes := []int{0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, 100_000, 1 << 20}
	compressions := map[string]ws.Compression{
		"plain":    {},
		"deflate":  {Enabled: true},
		"takeover": {Enabled: true, ContextTakeover: true},
	}
	for name, compression := range compressions {
		for way, handler := range Echoes(ws.AcceptOptions{Subprotocols: []string{"chat"}, Compression: compression}) {
			t.Run(way+"/"+name, func(t *testing.T) {
				ctx := t.Context()
				c := start(t, handler).Dial(t, func(o *ws.DialOptions) {
					o.Subprotocols = []string{"talk", "chat"}
					o.Compression = compression
				})
				if c.Subprotocol() != "chat" || c.Compressed() != compression.Enabled {
					t.Fatalf("subprotocol %q, compressed %v", c.Subprotocol(), c.Compressed())
				}
				for _, size := range sizes {
					for _, typ := range []ws.MessageType{ws.Text, ws.Binary} {
						echo(ctx, t, c, typ, size)
					}
				}
				if rtt, err := c.Ping(ctx); err != nil || rtt <= 0 {
					t.Fatal(rtt, err)
				}
				if err := c.Close(ctx, ws.StatusNormalClosure, "done"); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func echo(ctx context.Context, t *testing.T, c *ws.Conn, typ ws.MessageType, size int) {
	t.Helper()
	data := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
	if err := c.Write(ctx, typ, data); err != nil {
		t.Fatal(err)
	}
	m, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if m.Type != typ || !bytes.Equal(m.Data, data) {
		t.Fatalf("%v message of %d bytes came back as %v of %d", typ, size, m.Type, len(m.Data))
	}
}

// A read that is cancelled leaves the stream as it was, though streams have no deadlines that could be taken back.
func testCancelledRead(t *testing.T, start Start) {
	ctx := t.Context()
	c := start(t, Echoes(ws.AcceptOptions{})["Accept"]).Dial(t, nil)
	for range 3 {
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		echo(ctx, t, c, ws.Text, 1000)
	}
}

func testMany(t *testing.T, start Start) {
	const conns, messages = 64, 20
	for way, handler := range Echoes(ws.AcceptOptions{}) {
		t.Run(way, func(t *testing.T) {
			ctx := t.Context()
			p := start(t, handler)
			var group sync.WaitGroup
			for i := range conns {
				group.Go(func() {
					o := p.Options
					c, _, err := ws.Dial(ctx, p.URL, &o)
					if err != nil {
						t.Error(err)
						return
					}
					defer c.CloseNow()
					for j := range messages {
						data := bytes.Repeat([]byte{byte(i), byte(j)}, 1<<(j%12))
						if err := c.Write(ctx, ws.Binary, data); err != nil {
							t.Error(err)
							return
						}
						if m, err := c.Read(ctx); err != nil || !bytes.Equal(m.Data, data) {
							t.Errorf("WebSocket %d, message %d: %d bytes came back, %v", i, j, len(m.Data), err)
							return
						}
					}
					if err := c.Close(ctx, ws.StatusNormalClosure, ""); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if n := p.Conns(); n != 1 {
				t.Errorf("%d connections for %d WebSockets", n, conns)
			}
		})
	}
}

func testRefused(t *testing.T, start Start) {
	o := &ws.AcceptOptions{CheckOrigin: func(*http.Request) error { return errors.New("strangers are not welcome") }}
	handlers := map[string]http.Handler{
		"plain": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "strangers are not welcome", http.StatusForbidden)
		}),
		"Accept": Accepting(o, func(*ws.Conn) { t.Error("accepted") }),
		"Server": &ws.Server{Options: *o},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			p := start(t, handler)
			for range 3 {
				c, resp, err := ws.Dial(t.Context(), p.URL, &p.Options)
				if c != nil || resp == nil || err == nil {
					t.Fatal(c, resp, err)
				}
				he, ok := errors.AsType[*ws.HandshakeError](err)
				if !ok || he.Status != http.StatusForbidden || resp.StatusCode != http.StatusForbidden {
					t.Fatalf("%v, status %d", err, resp.StatusCode)
				}
				var body bytes.Buffer
				if _, err := body.ReadFrom(resp.Body); err != nil || body.String() != "strangers are not welcome\n" {
					t.Fatalf("body %q, %v", body.String(), err)
				}
			}
		})
	}
}

// A refusal whose body does not end does not keep Dial longer than the handshake may take.
func testRefusedForever(t *testing.T, start Start) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "because")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}))
	o := p.Options
	o.Limits.HandshakeTimeout = 3 * time.Second
	result := make(chan error, 1)
	go func() {
		_, _, err := ws.Dial(t.Context(), p.URL, &o)
		result <- err
	}()
	if err := testkit.Within(t, "Dial", result); err == nil {
		t.Fatal("no error")
	}
}
