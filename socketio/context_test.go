package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"baro.dev/socketio"
)

type userKey struct{}

// What HTTP middleware has found out is there in the sockets' context, which ends with them, not with the request.
func TestRequestContext(t *testing.T) {
	for _, transport := range []string{"polling", "websocket"} {
		t.Run(transport, func(t *testing.T) {
			sio, _ := start(t, &socketio.Options{Context: func(r *http.Request) context.Context { return r.Context() }})
			sockets := make(chan *socketio.Socket, 1)
			sio.OnConnection(func(s *socketio.Socket) { sockets <- s })
			socketio.On0(sio, "who", func(ctx context.Context) (any, error) {
				derived, cancel := context.WithCancel(ctx)
				defer cancel()
				return derived.Value(userKey{}), nil
			})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sio.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, r.URL.Query().Get("user"))))
			}))
			t.Cleanup(server.Close)
			var client interface {
				send(...string)
				recv() string
			}
			var end func()
			if transport == "polling" {
				p := poll(t, server.URL)
				p.url += "&user=another"
				client, end = p, func() { p.send("1") } // leaves the namespace
			} else {
				p := dialQuery(t, server.URL, "EIO=4&user=mona", nil)
				client, end = p, p.close
			}
			client.send("0")
			client.recv()
			ctx := got(t, sockets).Context()
			if ctx.Err() != nil || context.Cause(ctx) != nil || socketio.SocketOf(ctx) == nil {
				t.Error(ctx.Err(), context.Cause(ctx))
			}
			want := `31["mona"]`
			if transport == "polling" {
				want = `31[""]` // the request that began the session had none
			}
			client.send(`21["who"]`)
			expect(t, client.recv, want)
			if ctx.Value(http.ServerContextKey) == nil {
				t.Error("net/http's own values are missing")
			}
			end()
			got(t, ctx.Done())
			if !errors.Is(context.Cause(ctx), socketio.ErrDisconnected) || ctx.Value(userKey{}) == nil {
				t.Error(context.Cause(ctx), ctx.Value(userKey{}))
			}
		})
	}
}

// Without the option nothing of the request is kept.
func TestNoRequestContext(t *testing.T) {
	sio, url := start(t, nil)
	sockets := make(chan *socketio.Socket, 1)
	sio.OnConnection(func(s *socketio.Socket) { sockets <- s })
	join(t, url, "0")
	if ctx := got(t, sockets).Context(); ctx.Value(http.ServerContextKey) != nil || ctx.Err() != nil {
		t.Error(ctx)
	}
}
