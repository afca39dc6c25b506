package ws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/ws"
)

// What others have put into the header of the answer goes with it, unless the handshake has that to itself.
func TestAcceptHeader(t *testing.T) {
	s := &ws.Server{Options: ws.AcceptOptions{Header: http.Header{"X-Own": {"a"}}}}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "a=b")
		w.Header().Add("Set-Cookie", "c=d")
		w.Header().Set("Sec-WebSocket-Accept", "forged")
		w.Header().Set("X-Split", "a\r\nX-Injected: yes")
		s.ServeHTTP(w, r)
	}))
	defer h.Close()
	defer s.Close()
	c, resp, err := ws.Dial(context.Background(), "ws"+strings.TrimPrefix(h.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	got := resp.Header
	if len(got["Set-Cookie"]) != 2 || got.Get("X-Own") != "a" || len(got["Sec-Websocket-Accept"]) != 1 || got.Get("X-Injected") != "" {
		t.Error(got)
	}
}
