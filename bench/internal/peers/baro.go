//go:build linux

package peers

import (
	"net"

	"baro.dev/ws"
)

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
