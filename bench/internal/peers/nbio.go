//go:build linux

package peers

import (
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func nbioServer(l net.Listener, o Options) error {
	logging.SetLevel(logging.LevelNone)
	var h hub[*websocket.Conn]
	upgrader := websocket.NewUpgrader()
	upgrader.KeepaliveTime = 0
	upgrader.OnMessage(func(c *websocket.Conn, t websocket.MessageType, data []byte) {
		if !published(o.Role, data) {
			_ = c.WriteMessage(t, data)
			return
		}
		h.each(func(c *websocket.Conn) error { return c.WriteMessage(t, data) })
	})
	if o.Role == FanOut {
		upgrader.OnOpen(func(c *websocket.Conn) { h.add(c) })
		upgrader.OnClose(func(c *websocket.Conn, _ error) { h.remove(c) })
	}
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{l.Addr().String()},
		Listen:  func(string, string) (net.Listener, error) { return l, nil },
		MaxLoad: 1 << 20,
		// Payloads are handed back to their pool when OnMessage returns.
		ReleaseWebsocketPayload: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = upgrader.Upgrade(w, r, nil) // it has answered
		}),
	})
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}
