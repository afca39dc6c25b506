//go:build linux

package peers

import (
	"net"
	"net/http"

	"baro.dev/ws"
)

// baro is this project's server, through its own front door.
func baro(inline bool) func(net.Listener, Options) error {
	return func(l net.Listener, o Options) error {
		s := &ws.Server{Inline: inline}
		s.Options.Compression = ws.Compression{Enabled: o.Role == Deflate, ContextTakeover: o.Takeover}
		s.OnMessage = func(c *ws.Socket, m ws.Message) { _ = c.Send(m.Type, m.Data) }
		if o.Role == FanOut {
			baroFanOut(s)
		}
		return s.Serve(l)
	}
}

func baroFanOut(s *ws.Server) {
	const topic = "all"
	s.OnOpen = func(c *ws.Socket, _ *http.Request) { _ = c.Subscribe(topic) }
	s.OnMessage = func(c *ws.Socket, m ws.Message) {
		if published(FanOut, m.Data) {
			_ = s.Publish(topic, m.Type, m.Data)
		} else {
			_ = c.Send(m.Type, m.Data)
		}
	}
}
