//go:build linux

package peers

import (
	"net/http"
	"slices"

	"baro.dev/ws"
)

func baroFanOut(s *ws.Server) {
	var h hub[*ws.Socket]
	s.OnOpen = func(c *ws.Socket, _ *http.Request) { h.add(c) }
	s.OnClose = func(c *ws.Socket, _ error) { h.remove(c) }
	s.OnMessage = func(c *ws.Socket, m ws.Message) {
		if !published(FanOut, m.Data) {
			_ = c.Send(m.Type, m.Data)
			return
		}
		if p, err := ws.NewPreparedMessage(m.Type, slices.Clone(m.Data)); err == nil {
			h.each(func(c *ws.Socket) error { return c.SendPrepared(p) })
		}
	}
}
