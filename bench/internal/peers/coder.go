//go:build linux

package peers

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

func coderServer(l net.Listener, o Options) error {
	options := &websocket.AcceptOptions{}
	if o.Role == Deflate {
		options.CompressionMode = websocket.CompressionNoContextTakeover
		if o.Takeover {
			options.CompressionMode = websocket.CompressionContextTakeover
		}
	}
	var buffers pool
	var h hub[*websocket.Conn]
	ctx := context.Background()
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, options)
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.CloseNow() }()
			c.SetReadLimit(-1)
			if o.Role == FanOut {
				h.add(c)
				defer h.remove(c)
			}
			for coderMessage(ctx, c, &buffers, o.Role, &h) == nil {
			}
		}()
	}))
}

func coderMessage(ctx context.Context, c *websocket.Conn, buffers *pool, role Role, h *hub[*websocket.Conn]) error {
	t, r, err := c.Reader(ctx)
	if err != nil {
		return err
	}
	b := buffers.get()
	defer buffers.put(b)
	data, err := readAll(r, b)
	if err != nil {
		return err
	}
	if !published(role, data) {
		return c.Write(ctx, t, data)
	}
	h.each(func(c *websocket.Conn) error { return c.Write(ctx, t, data) })
	return nil
}
