package routers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/examples/routers"
	"baro.dev/socketio"
	"baro.dev/ws"
)

// A client connects under each router, by polling and by WebSocket.
func TestRouters(t *testing.T) {
	for name, mount := range map[string]func(*socketio.Server) http.Handler{
		"net/http": routers.NetHTTP, "chi": routers.Chi, "gin": routers.Gin, "echo": routers.Echo,
	} {
		t.Run(name, func(t *testing.T) {
			server := socketio.NewServer(nil)
			front := httptest.NewServer(mount(server))
			defer front.Close()
			defer server.Engine().Close() // nobody is to be waited for
			url := front.URL + "/socket.io/?EIO=4&transport="

			r, err := http.Get(url + "polling")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if body, err := io.ReadAll(r.Body); err != nil || !strings.HasPrefix(string(body), `0{"sid":`) {
				t.Errorf("%s, %q, %v", r.Status, body, err)
			}

			c, _, err := ws.Dial(t.Context(), url+"websocket", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if m, err := c.Read(t.Context()); err != nil || !strings.HasPrefix(string(m.Data), `0{"sid":`) {
				t.Errorf("%s, %v", m.Data, err)
			}
			if err := c.Send(ws.Text, []byte("40")); err != nil {
				t.Fatal(err)
			}
			if m, err := c.Read(t.Context()); err != nil || !strings.HasPrefix(string(m.Data), `40{"sid":`) {
				t.Errorf("%s, %v", m.Data, err)
			}
		})
	}
}
