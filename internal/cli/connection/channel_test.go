package connection_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	_ "baro.dev/internal/extendedconnect" // WebSocket over HTTP/2
	"baro.dev/internal/server"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// house is a server of channels; with TLS of all versions of HTTP.
func house(t *testing.T, secure bool) (url string, options target.Options) {
	t.Helper()
	config := server.Config{Listen: "127.0.0.1:0", Dev: true, Log: slog.New(slog.DiscardHandler)}
	if secure {
		config.TLSCert, config.TLSKey, _ = testkit.Certificate(t)
		config.HTTP3, options.Insecure = true, true
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return strings.TrimSuffix(s.URLs()[0], "/"), options
}

func publish(t *testing.T, url, text string) {
	t.Helper()
	resp, err := http.Post(url, "text/plain", strings.NewReader(text))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// A channel is the same over everything, and goes on where it was.
func TestChannel(t *testing.T) {
	url, _ := house(t, false)
	url += "/c/demo"
	for _, p := range []connection.Protocol{connection.Auto, connection.WebSocket, connection.SSE, connection.NDJSON, connection.LongPolling, connection.Polling} {
		t.Run(string(p), func(t *testing.T) {
			c := dial(t, url, connection.Options{Protocol: p, Reconnect: true, Interval: 10 * time.Millisecond})
			send(t, c, connection.Text, "a\nb")
			if m := receive(t, c); string(m.Data) != "a\nb" || m.ID == "" || m.Kind != connection.Text {
				t.Errorf("got %+v", m)
			}
			send(t, c, connection.Binary, "\x00\xff")
			m := receive(t, c)
			if string(m.Data) != "\x00\xff" || m.Kind != connection.Binary {
				t.Errorf("got %+v", m)
			}
			if i := c.Info(); p == connection.Auto && i.Protocol != connection.WebSocket || p != connection.Auto && i.Protocol != p || !i.CanSend || i.Position != m.ID {
				t.Errorf("info %+v", i)
			}
			publish(t, url, "meanwhile")
			later := dial(t, url, connection.Options{Protocol: p, Reconnect: true, After: m.ID})
			if m := receive(t, later); string(m.Data) != "meanwhile" {
				t.Errorf("got %+v", m)
			}
			first := dial(t, url, connection.Options{Protocol: p, After: "oldest"})
			if m := receive(t, first); string(m.Data) != "a\nb" {
				t.Errorf("the oldest is %+v", m)
			}
			_, err := try(t, url, connection.Options{Protocol: p, After: "gone:1"})
			if p == connection.NDJSON || p == connection.LongPolling || p == connection.Polling {
				if exit.Code(err) != exit.Refused {
					t.Errorf("what cannot be had: %v", err)
				}
			}
		})
	}
}

// The event of a message in bytes is its own, also one that begins as an event stream calls a message without any.
func TestEventOfBytes(t *testing.T) {
	url, _ := house(t, false)
	url += "/c/demo"
	for _, p := range []connection.Protocol{connection.SSE, connection.NDJSON} {
		c := dial(t, url, connection.Options{Protocol: p})
		for _, event := range []string{"", "messages", "message.new", "price"} {
			if err := c.Send(t.Context(), connection.Message{Kind: connection.Binary, Event: event, Data: []byte("\x00\xff")}); err != nil {
				t.Fatal(err)
			}
			if m := receive(t, c); m.Event != event || m.Kind != connection.Binary || string(m.Data) != "\x00\xff" {
				t.Errorf("%s, event %q: got %+v", p, event, m)
			}
		}
	}
}

// WebSocket and streams over each version of HTTP.
func TestVersions(t *testing.T) {
	url, options := house(t, true)
	for version, name := range map[int]string{1: "HTTP/1.1", 2: "HTTP/2.0", 3: "HTTP/3.0"} {
		for _, p := range []connection.Protocol{connection.WebSocket, connection.SSE, connection.NDJSON, connection.LongPolling} {
			frames := make(chan connection.Frame, 100)
			c := dial(t, url, connection.Options{Target: to(t, url+"/c/demo", options), HTTP: version, Protocol: p, OnFrame: func(f connection.Frame) { frames <- f }, Compression: ws.Compression{Enabled: true}})
			if i := c.Info(); i.HTTP != name || i.TLS != "TLS 1.3" {
				t.Errorf("%s %d: %+v", p, version, i)
			}
			send(t, c, connection.Text, "hello")
			if m := receive(t, c); string(m.Data) != "hello" {
				t.Errorf("%s %d: got %+v", p, version, m)
			}
			if p == connection.WebSocket && len(frames) < 2 {
				t.Errorf("%d: %d frames", version, len(frames))
			}
		}
	}
}

// Nothing is missed when a connection breaks.
func TestRecovery(t *testing.T) {
	url, _ := house(t, false)
	url += "/c/recovered"
	for _, p := range []connection.Protocol{connection.WebSocket, connection.SSE, connection.NDJSON, connection.LongPolling} {
		t.Run(string(p), func(t *testing.T) {
			var mu sync.Mutex
			var open []net.Conn
			target := to(t, url, target.Options{})
			dialContext := target.DialContext
			target.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock() // which keeps it from coming back too soon
				c, err := dialContext(ctx, network, addr)
				open = append(open, c)
				return c, err
			}
			states, tell := told()
			c := dial(t, url, connection.Options{Target: target, Protocol: p, Reconnect: true, Delay: time.Millisecond, OnState: tell})
			publish(t, url, "1")
			if m := receive(t, c); string(m.Data) != "1" {
				t.Fatalf("got %q", m.Data)
			}
			for _, text := range []string{"2", "3"} {
				mu.Lock()
				for _, c := range open {
					c.Close()
				}
				publish(t, url, text)
				publish(t, url, text+"b")
				mu.Unlock()
				for _, want := range []string{text, text + "b"} {
					if m := receive(t, c); string(m.Data) != want {
						t.Errorf("got %q, want %q", m.Data, want)
					}
				}
			}
			recovered := 0
			for len(states) > 0 {
				if s := <-states; s.Kind == connection.Connected && s.Recovered {
					recovered++
				}
			}
			if n := c.Info().Stats.Reconnects; p != connection.LongPolling && (n < 2 || recovered < 2) { // net/http asks again by itself
				t.Errorf("reconnected %d times, and recovered %d times", n, recovered)
			}
		})
	}
}
