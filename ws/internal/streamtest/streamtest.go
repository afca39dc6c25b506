// Package streamtest tests what a WebSocket has to do that is a stream of a connection shared with others, whichever
// version of HTTP carries it.
package streamtest

import (
	"context"
	"net/http"
	"testing"

	"baro.dev/internal/testkit"
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
			testkit.NoLeaks(t)
			tt.test(t, start)
		})
	}
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
