package ws_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/ws"
)

// serve starts a server for handler and returns its ws URL.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// echoes are the ways of writing an echo server.
func echoes(o ws.AcceptOptions) map[string]http.Handler {
	return map[string]http.Handler{
		"Conn": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := ws.Accept(w, r, &o)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for m, err := range c.Messages(context.Background()) {
				if err != nil || c.Write(context.Background(), m.Type, m.Data) != nil {
					return
				}
			}
		}),
		"Server": &ws.Server{
			Options:   o,
			OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
		},
		"Inline": &ws.Server{
			Options:   o,
			Inline:    true,
			OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
		},
	}
}

func TestEcho(t *testing.T) {
	compressions := map[string]ws.Compression{
		"plain":    {},
		"deflate":  {Enabled: true},
		"takeover": {Enabled: true, ContextTakeover: true},
	}
	sizes := []int{0, 1, 125, 126, 127, 128, 1000, 65535, 65536, 65537, 1 << 20}
	for way := range echoes(ws.AcceptOptions{}) {
		for name, compression := range compressions {
			t.Run(way+"/"+name, func(t *testing.T) {
				ctx := t.Context()
				url := serve(t, echoes(ws.AcceptOptions{Compression: compression})[way])
				c, _, err := ws.Dial(ctx, url, &ws.DialOptions{Compression: compression})
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if c.Compressed() != compression.Enabled {
					t.Fatalf("compressed: %v", c.Compressed())
				}
				for _, size := range sizes {
					for _, typ := range []ws.MessageType{ws.Text, ws.Binary} {
						data := bytes.Repeat([]byte("메세지 baro "), size/10+1)[:size]
						if typ == ws.Text {
							data = []byte(strings.ToValidUTF8(string(data), ""))
						}
						if err := c.Write(ctx, typ, data); err != nil {
							t.Fatal(err)
						}
						m, err := c.Read(ctx)
						if err != nil {
							t.Fatal(err)
						}
						if m.Type != typ || !bytes.Equal(m.Data, data) {
							t.Fatalf("%v message of %d bytes came back as %v of %d", typ, len(data), m.Type, len(m.Data))
						}
					}
				}
				if _, err := c.Ping(ctx); err != nil {
					t.Fatal(err)
				}
				if err := c.Close(ctx, ws.StatusNormalClosure, "done"); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}
