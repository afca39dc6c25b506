//go:build linux

package peers

import (
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

func gorillaServer(l net.Listener, o Options) error {
	upgrader := &websocket.Upgrader{
		ReadBufferSize: o.buffer(), WriteBufferSize: 4096, WriteBufferPool: new(sync.Pool),
		EnableCompression: o.Role == Deflate,
	}
	var buffers pool
	var h hub[*websocket.Conn]
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		// On a goroutine of its own, the connection does not hold what net/http had for the request.
		go func() {
			defer func() { _ = c.Close() }()
			if o.Role == FanOut {
				h.add(c)
				defer h.remove(c)
			}
			for gorillaMessage(c, &buffers, o.Role, &h) == nil {
			}
		}()
	}))
}

func gorillaMessage(c *websocket.Conn, buffers *pool, role Role, h *hub[*websocket.Conn]) error {
	t, r, err := c.NextReader()
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
		return c.WriteMessage(t, data)
	}
	m, err := websocket.NewPreparedMessage(t, data)
	if err == nil {
		h.each(func(c *websocket.Conn) error { return c.WritePreparedMessage(m) })
	}
	return err
}

// readAll reads until io.EOF into b, which grows as it must.
func readAll(r io.Reader, b *[]byte) ([]byte, error) {
	n := 0
	for {
		if n == len(*b) {
			*b = append(*b, make([]byte, n)...)
		}
		m, err := r.Read((*b)[n:])
		n += m
		if err == io.EOF {
			return (*b)[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
}
