package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/internal/testkit"
	"baro.dev/socketio/client"
	"baro.dev/ws"
)

const (
	opened  = `0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	entered = `40{"sid":"s"}`
)

// accepts is a server that opens each session, and counts its clients.
func accepts(t *testing.T, serve func(ctx context.Context, c *ws.Conn)) (url string, clients *atomic.Int64) {
	t.Helper()
	return acceptsWith(t, opened, serve)
}

// acceptsWith is accepts with an answer to the handshake.
func acceptsWith(t *testing.T, opened string, serve func(ctx context.Context, c *ws.Conn)) (url string, clients *atomic.Int64) {
	t.Helper()
	clients = new(atomic.Int64)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		clients.Add(1)
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		_ = c.Write(ctx, ws.Text, []byte(opened))
		serve(ctx, c)
	}))
	t.Cleanup(site.Close)
	return site.URL, clients
}

// hostile is a server that waits for the CONNECT, and then says what a test wants.
func hostile(t *testing.T, serve func(ctx context.Context, c *ws.Conn)) (url string, clients *atomic.Int64) {
	t.Helper()
	return accepts(t, func(ctx context.Context, c *ws.Conn) {
		if _, err := c.Read(ctx); err == nil {
			serve(ctx, c)
		}
	})
}

func overWebSocket() *client.Options {
	o := quick()
	o.Engine = eio.Options{Transports: []string{eio.WebSocket}, MaxMessage: 100_000}
	return o
}

// A server may say anything: nothing is handed on that is no event, and whoever breaks the protocol is left, and tried again.
func TestHostileServer(t *testing.T) {
	for name, c := range map[string]struct {
		frames []string
		stays  bool // it is a mistake that hurts nobody
	}{
		"no JSON":                   {[]string{"40{"}, false},
		"an array":                  {[]string{"40[1]"}, false},
		"an unknown type":           {[]string{entered, "49"}, false},
		"no event":                  {[]string{entered, "42"}, false},
		"an event that is no array": {[]string{entered, "42{}"}, false},
		"an event without a name":   {[]string{entered, "42[]"}, false},
		"a name of another type":    {[]string{entered, `42[{"toString":1}]`}, false},
		"an event cut off":          {[]string{entered, `42["a`}, false},
		"a deep event":              {[]string{entered, `42["a",` + strings.Repeat("[", 90_000)}, false},
		"a negative placeholder":    {[]string{entered, `451-["a",{"_placeholder":true,"num":-1}]`, "b"}, false},
		"a large placeholder":       {[]string{entered, `451-["a",{"_placeholder":true,"num":1e9}]`, "b"}, false},
		"attachments without end":   {[]string{entered, `451000000000-["a"]`}, false},
		"text for an attachment":    {[]string{entered, `451-["a",{"_placeholder":true,"num":0}]`, `42["b"]`}, false},
		"a huge id of an ack":       {[]string{entered, `43` + strings.Repeat("9", 1000) + `[]`}, false},
		"an ack that is no array":   {[]string{entered, `430{}`}, false},
		"an ack that nobody wants":  {[]string{entered, `4399[1]`}, true},
		"a refusal after all":       {[]string{entered, `44{"message":"no"}`}, true},
		"a namespace of nobody":     {[]string{entered, `42/other,["a"]`}, true},
		"a large namespace":         {[]string{entered, "42/" + strings.Repeat("n", 90_000) + `,["a"]`}, false},
		"a large frame":             {[]string{entered, `42["a","` + strings.Repeat("x", 200_000) + `"]`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, clients := hostile(t, func(ctx context.Context, k *ws.Conn) {
				for _, f := range c.frames {
					kind := ws.Text
					if f == "b" {
						kind = ws.Binary
					}
					_ = k.Write(ctx, kind, []byte(f))
				}
				if c.stays {
					_ = k.Write(ctx, ws.Text, []byte(`42["end"]`))
				}
				_, _ = k.Read(ctx)
			})
			s := newSocket(t, url, overWebSocket())
			ended := make(chan struct{})
			s.On("end", func(*client.Event) { close(ended) })
			s.OnAny(func(e *client.Event) {
				if e.Name() != "end" {
					t.Errorf("an event: %q", e.Name())
				}
			})
			if err := s.Open(); err != nil {
				t.Fatal(err)
			}
			if c.stays {
				testkit.Within(t, "what is well-formed", ended)
				return
			}
			for until := time.Now().Add(testkit.Patience); clients.Load() < 2; time.Sleep(time.Millisecond) { // nobody tells who counts
				if time.Now().After(until) {
					t.Fatal("the client stays")
				}
			}
		})
	}
}

// The answer to CONNECT is none: the socket is told, as that of the official client is.
func TestNoSID(t *testing.T) {
	for _, answer := range []string{"40", `40{"sid":7}`, `40{"sid":""}`} {
		url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) {
			_ = c.Write(ctx, ws.Text, []byte(answer))
			_, _ = c.Read(ctx)
		})
		if err := newSocket(t, url, overWebSocket()).Connect(soon(t)); !errors.Is(err, client.ErrProtocol) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// CONNECT is never answered: who waits is let go in time, and nothing is left.
func TestConnectIsNotAnswered(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) { _, _ = c.Read(ctx) })
	s := newSocket(t, url, overWebSocket())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Connect(ctx); err == nil || s.Connected() {
		t.Errorf("connected: %v, %v", s.Connected(), err)
	}
	end(t, s)
}

// A flood of events for a handler that is slow makes the server wait, and not the memory grow.
func TestFlood(t *testing.T) {
	text := []byte(`42["a","` + strings.Repeat("x", 50_000) + `"]`)
	sent := new(atomic.Int64)
	url, _ := hostile(t, func(ctx context.Context, c *ws.Conn) {
		_ = c.Write(ctx, ws.Text, []byte(entered))
		for range 4000 { // 200 MB
			if c.Write(ctx, ws.Text, text) != nil {
				return
			}
			sent.Add(1)
		}
	})
	o := overWebSocket()
	o.MaxBuffered = 1 << 20
	s := newSocket(t, url, o)
	release, first := make(chan struct{}), make(chan struct{}, 1)
	s.On("a", func(*client.Event) {
		select {
		case first <- struct{}{}:
		default:
		}
		<-release
	})
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	testkit.Within(t, "an event", first)
	for before := int64(-1); before != sent.Load(); time.Sleep(200 * time.Millisecond) { // until no more leaves
		before = sent.Load()
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if n := sent.Load(); n == 4000 || m.HeapAlloc > 64<<20 {
		t.Errorf("%d events have left, %d bytes are in memory", n, m.HeapAlloc)
	}
	close(release)
}

// Redirects that never end, and those to elsewhere, are not followed for ever.
func TestRedirects(t *testing.T) {
	var n atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		to := r.URL.String()
		if r.Header.Get("Upgrade") == "" {
			to = "file:///etc/passwd"
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(site.Close)
	for _, transport := range []string{eio.WebSocket, eio.Polling} {
		n.Store(0)
		o := overWebSocket()
		o.Engine.Transports, o.NoReconnection = []string{transport}, true
		s := newSocket(t, site.URL, o)
		if err := s.Connect(soon(t)); err == nil || n.Load() > 10 {
			t.Errorf("%s: %v after %d requests", transport, err, n.Load())
		}
	}
}
