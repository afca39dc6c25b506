// Package streamtest tests what a WebSocket has to do that is a stream of a connection shared with others, whichever
// version of HTTP carries it.
package streamtest

import (
	"context"
	"net/http"
	"runtime"
	"testing"
	"time"

	"baro.dev/ws"
)

// Peer is a server, and the way to it.
type Peer struct {
	URL string
	// Options dial it. Those who use them share a connection, if the carrier shares connections.
	Options ws.DialOptions
	// Conns returns how many connections the server has accepted.
	Conns func() int
	// Cut ends the connections without a word of HTTP.
	Cut func()
}

// Start starts a server for handler; t's cleanup ends it, and the connections to it.
type Start func(t testing.TB, handler http.Handler) *Peer

// Dial opens a WebSocket to p, with the options that change makes of p.Options.
func (p *Peer) Dial(t testing.TB, change func(o *ws.DialOptions)) *ws.Conn {
	t.Helper()
	o := p.Options
	if change != nil {
		change(&o)
	}
	c, _, err := ws.Dial(t.Context(), p.URL, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// Run runs all tests over the carrier that start starts, a version of HTTP that shares connections or does not.
func Run(t *testing.T, start Start, shared bool) {
	tests := []struct {
		name string
		test func(*testing.T, Start)
	}{
		{"Echo", testEcho},
		{"CancelledRead", testCancelledRead},
		{"ClientCloses", testClientCloses},
		{"ServerCloses", testServerCloses},
		{"BothClose", testBothClose},
		{"ServerFails", testServerFails},
		{"ClientFails", testClientFails},
		{"Shutdown", testShutdown},
		{"Cut", testCut},
		{"Refused", testRefused},
		{"RefusedForever", testRefusedForever},
		{"SlowReader", testSlowReader},
		{"SlowWriter", testSlowWriter},
	}
	if shared {
		tests = append(tests, []struct {
			name string
			test func(*testing.T, Start)
		}{
			{"Many", testMany},
			{"HandlerReturns", testHandlerReturns},
			{"Unread", testUnread},
		}...)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			NoLeaks(t)
			tt.test(t, start)
		})
	}
}

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// NoLeaks fails the test if, when all its cleanups have run, there are more goroutines than now.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				t.Errorf("%d goroutines at the start, %d at the end:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
				return
			}
			time.Sleep(time.Millisecond) // nothing tells when another package's goroutine has ended
		}
	})
}

// Within fails the test if done is not closed, or does not yield, soon.
func Within[T any](t testing.TB, what string, done <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-done:
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		t.Fatalf("waited for %s:\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
	return v
}

// Echoes are the ways of writing an echo server. Unless o says so, what is sent waits where it is too much for the queue.
func Echoes(o ws.AcceptOptions) map[string]http.Handler {
	if o.Queue.Full == ws.Close {
		o.Queue.Full = ws.Block
	}
	return map[string]http.Handler{
		"Accept": Accepting(&o, func(c *ws.Conn) {
			for m, err := range c.Messages(context.Background()) {
				if err != nil || c.Write(context.Background(), m.Type, m.Data) != nil {
					return
				}
			}
		}),
		"Server": &ws.Server{
			Options:   o,
			OnMessage: func(c *ws.Socket, m ws.Message) { _ = c.Send(m.Type, m.Data) },
		},
		"Inline": &ws.Server{
			Options:   o,
			Inline:    true,
			OnMessage: func(c *ws.Socket, m ws.Message) { _ = c.Send(m.Type, m.Data) },
		},
	}
}

// Accepting is a handler that accepts and lets handle have the connection.
func Accepting(o *ws.AcceptOptions, handle func(c *ws.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, o)
		if err != nil {
			return
		}
		defer c.CloseNow()
		handle(c)
	})
}
