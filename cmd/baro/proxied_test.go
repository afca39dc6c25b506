package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
	"baro.dev/socketio"
	"baro.dev/ws"
)

// protocols is a server of a few of them: an echo at /, an event stream at /events, Socket.IO.
func protocols(t *testing.T) *httptest.Server {
	t.Helper()
	sockets := socketio.NewServer(nil)
	sockets.OnConnection(func(s *socketio.Socket) {
		s.On("say", func(e *socketio.Event) { _ = s.Emit("said", e.Args()[0]) })
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", sockets)
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: ping\n\n")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for m, err := range c.Messages(r.Context()) {
			if err != nil {
				return
			}
			_ = c.Write(r.Context(), m.Type, m.Data)
		}
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(func() { _ = sockets.Close(context.Background()); s.Close() })
	return s
}

// sessions are calls of connect for each protocol of such a server, at a host, and what is printed by them.
func sessions(scheme, host string) map[string][]string {
	web, socket := "http", "ws"
	if scheme == "tls" {
		web, socket = "https", "wss"
	}
	return map[string][]string{
		"ping\n":                      {socket + "://" + host + "/", "-m", "ping", "-n", "1"},
		"ping":                        {web + "://" + host + "/events", "-n", "1"},
		"[\"said\",\"ping\"]\n":       {web + "://" + host, "-p", "socketio", "-m", `["say","ping"]`, "-n", "1"},
		"[\"said\",\"ping\"]\n" + " ": {socket + "://" + host, "-p", "socketio", "-m", `["say","ping"]`, "-n", "1"},
	}
}

// Every protocol goes through proxies of every kind, with credentials if they want some; who has none, or wrong ones, is told what to say.
func TestThroughProxies(t *testing.T) {
	s := protocols(t)
	s.Start()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	host := "far.example:" + port // which the proxy alone knows
	open, closed := testkit.NewProxy(t, "", ""), testkit.NewProxy(t, "kim", "s3cret")
	for _, scheme := range []string{"http", "socks5", "socks5h"} {
		for want, args := range sessions("", host) {
			for proxy, via := range map[*testkit.Proxy]string{open: scheme + "://" + open.Addr, closed: scheme + "://kim:s3cret@" + closed.Addr} {
				before := proxy.Carried.Load()
				out, notes, code := piping(t, "", append(args, "--proxy", via)...)
				if strings.TrimSpace(out) != strings.TrimSpace(want) || code != exit.OK || proxy.Carried.Load() == before {
					t.Errorf("%q by %s: %q, %q (%d)", args, via, out, notes, code)
				}
			}
			for _, who := range []string{"", "kim:wrong@"} {
				via := fmt.Sprintf("%s://%s%s", scheme, who, closed.Addr)
				out, notes, code := piping(t, "", append(args, "--proxy", via)...)
				if out != "" || code != exit.Refused || !strings.Contains(notes, "--proxy") || strings.Contains(notes, "wrong@") {
					t.Errorf("%q by %s: %q, %q (%d)", args, via, out, notes, code)
				}
			}
		}
	}
}

// The other commands say so, too.
func TestProxyWantsCredentials(t *testing.T) {
	proxy := testkit.NewProxy(t, "kim", "s3cret").Addr
	for _, args := range [][]string{
		{"record", "ws://far.example:1", "-o", t.TempDir() + "/s.ndjson"},
		{"bridge", "-l", "stdio", "-t", "ws://far.example:1"},
		{"subscribe", "http://far.example:1", "news", "--no-reconnect"},
		{"publish", "http://far.example:1", "news", "hello"},
		{"publish", "https://far.example:1", "news", "hello"},
		{"call", "https://far.example:1", "--user", "kim", "open"},
	} {
		root := newRoot()
		root.SetIn(strings.NewReader(""))
		var out, notes bytes.Buffer
		if code := execute(root, append(args, "--proxy", proxy), &out, &notes); code != exit.Refused || !strings.Contains(notes.String(), "--proxy") {
			t.Errorf("%q: %d, %s", args, code, notes.String())
		}
	}
}
