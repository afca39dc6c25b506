package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/testkit"
)

// A hinderer stands between a client and a server, and lets little pass.
func hinder(t *testing.T, server string, hindered func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hindered(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(site.Close)
	return site.URL
}

func noWebSocket(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Upgrade") == "" {
		return false
	}
	http.Error(w, "what is this?", http.StatusBadRequest)
	return true
}

// A proxy that buffers holds a stream until it ends.
func noStream(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Accept") != "text/event-stream" {
		return noWebSocket(w, r)
	}
	<-r.Context().Done()
	return true
}

// A proxy may be impatient.
func noWaiting(w http.ResponseWriter, r *http.Request) bool {
	if !strings.Contains(r.URL.RawQuery, "wait=") {
		return noStream(w, r)
	}
	select {
	case <-r.Context().Done():
	case <-time.After(1100 * time.Millisecond):
		http.Error(w, "timeout", http.StatusGatewayTimeout)
	}
	return true
}

// Whatever stands in the way, the best of what passes is found.
func TestFallback(t *testing.T) {
	for _, c := range []struct {
		want     client.Transport
		hindered func(http.ResponseWriter, *http.Request) bool
	}{
		{client.WebSocket, func(http.ResponseWriter, *http.Request) bool { return false }},
		{client.EventStream, noWebSocket},
		{client.LongPolling, noStream},
		{client.Polling, noWaiting},
	} {
		t.Run(string(c.want), func(t *testing.T) {
			t.Parallel()
			testkit.NoLeaks(t)
			s, direct := start(t, nil)
			o := over()
			o.Transports, o.Timeout = nil, 500*time.Millisecond
			became := make(chan client.Transport, 1000)
			o.OnState = func(now client.Transport, _ error) { became <- now }
			k := dial(t, hinder(t, direct, c.hindered), o)
			got := make(chan string, 100)
			subscribe(t, k, "a", func(m *channel.Message) { got <- string(m.Data) }, &client.SubscribeOptions{After: "oldest"})
			for now := range became {
				if now == c.want {
					break
				}
			}
			if _, err := k.Publish(soon(t), "a", channel.Message{Data: []byte("one")}); err != nil {
				t.Fatal(err)
			}
			if m := testkit.Within(t, "a message", got); m != "one" {
				t.Errorf("%q", m)
			}
			if _, err := s.Hub().Publish("a", channel.Message{Data: []byte("two")}); err != nil {
				t.Fatal(err)
			}
			if m := testkit.Within(t, "a message", got); m != "two" {
				t.Errorf("%q", m)
			}
			_ = k.Close()
		})
	}
}

// Where the WebSocket passes again it is used, and nothing is lost on the way.
func TestWebSocketAgain(t *testing.T) {
	s, direct := start(t, nil)
	var free atomic.Bool
	o := over()
	o.Transports, o.WebSocketInterval = nil, 20*time.Millisecond
	became := make(chan client.Transport, 1000)
	o.OnState = func(now client.Transport, _ error) { became <- now }
	c := dial(t, hinder(t, direct, func(w http.ResponseWriter, r *http.Request) bool { return !free.Load() && noWebSocket(w, r) }), o)
	got := make(chan string, 1000)
	subscribe(t, c, "a", func(m *channel.Message) { got <- string(m.Data) }, &client.SubscribeOptions{After: "oldest"})
	for i := range 100 {
		free.Store(i >= 50)
		if _, err := s.Hub().Publish("a", channel.Message{Data: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		if m := testkit.Within(t, "a message", got); m != fmt.Sprint(i) {
			t.Fatalf("%q instead of %d", m, i)
		}
	}
	for now := range became {
		if now == client.WebSocket {
			break
		}
	}
	if c.Transport() != client.WebSocket {
		t.Errorf("it is %q", c.Transport())
	}
	if _, err := c.Presence(context.Background(), "a", 1); err != nil {
		t.Error(err)
	}
}
