package load

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/cli/target"
	"baro.dev/socketio"
)

// Events are acknowledged by a Socket.IO server, in whichever order; those that are not are lost.
func TestSocketIO(t *testing.T) {
	t.Parallel()
	io := socketio.NewServer(nil)
	answer := func(s *socketio.Socket, n *atomic.Int64) {
		s.On("ask", func(e *socketio.Event) {
			var text string
			if err := e.Bind(&text); err != nil || len(text) != 200 {
				t.Errorf("%d bytes, %v", len(text), err)
			}
			switch n.Add(1) % 10 {
			case 3:
				time.AfterFunc(5*time.Millisecond, func() { _ = e.Ack("late") })
			case 7:
			default:
				_ = e.Ack(text)
			}
		})
	}
	var main, other atomic.Int64
	io.OnConnection(func(s *socketio.Socket) { answer(s, &main) })
	io.Of("/other").OnConnection(func(s *socketio.Socket) { answer(s, &other) })
	site := httptest.NewServer(io)
	t.Cleanup(func() { _ = io.Close(context.Background()); site.Close() })
	at, err := (&target.Options{Proxy: "none"}).Target(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	to, err := From(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"/", "/other"} {
		t.Run(namespace, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), Options{
				Target: to, Scenario: Echo, Transports: []Transport{SocketIO}, Connections: 4, Rate: 500, Size: 200, Event: "ask", Namespace: namespace,
				Duration: 200 * time.Millisecond, Drain: 2 * time.Second, MaxErrors: -1,
			})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(r.Messages, r.Lost, r.Duplicated, r.Reordered, r.ErrorCount) != "100 10 0 0 0" {
				t.Errorf("%+v", r)
			}
		})
	}
	o := Options{Target: to, Scenario: Echo, Transports: []Transport{SocketIO}, Namespace: "/nobody", MaxErrors: -1}
	if _, err := Run(t.Context(), o); err == nil {
		t.Error("a namespace that is not there")
	} else {
		t.Log(err)
	}
}
