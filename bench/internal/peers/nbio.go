//go:build linux

package peers

import (
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// nbioServer has epoll loops, which hand messages to a pool of goroutines, or inline run the handler themselves.
func nbioServer(inline bool) func(net.Listener, Options) error {
	return func(l net.Listener, o Options) error {
		logging.SetLevel(logging.LevelNone)
		upgrader := websocket.NewUpgrader()
		upgrader.KeepaliveTime = 0
		upgrader.EnableCompression(o.Role == Deflate)
		nbioHandlers(upgrader, o.Role)
		config := nbhttp.Config{
			Network: "tcp",
			Addrs:   []string{l.Addr().String()},
			Listen:  func(string, string) (net.Listener, error) { return l, nil },
			MaxLoad: 1 << 20,
			// Messages are not split, and payloads go back to their pool when OnMessage returns.
			MaxWebsocketFramePayloadSize: 1 << 20,
			ReleaseWebsocketPayload:      true,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = upgrader.Upgrade(w, r, nil) // it has answered
			}),
		}
		if inline {
			config.ServerExecutor = func(f func()) { f() }
		}
		if err := nbhttp.NewEngine(config).Start(); err != nil {
			return err
		}
		select {}
	}
}

func nbioHandlers(u *websocket.Upgrader, r Role) {
	var h hub[*websocket.Conn]
	u.OnMessage(func(c *websocket.Conn, t websocket.MessageType, data []byte) {
		if !published(r, data) {
			_ = c.WriteMessage(t, data)
			return
		}
		h.each(func(c *websocket.Conn) error { return c.WriteMessage(t, data) })
	})
	if r == FanOut {
		u.OnOpen(func(c *websocket.Conn) { h.add(c) })
		u.OnClose(func(c *websocket.Conn, _ error) { h.remove(c) })
	}
}
