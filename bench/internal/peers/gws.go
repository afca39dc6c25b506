//go:build linux

package peers

import (
	"net"

	"github.com/lxzan/gws"
)

type gwsHandler struct {
	gws.BuiltinEventHandler
	role Role
	hub  *hub[*gws.Conn]
}

func gwsServer(l net.Listener, o Options) error {
	return gws.NewServer(&gwsHandler{role: o.Role, hub: new(hub[*gws.Conn])}, &gws.ServerOption{
		ReadBufferSize: o.buffer(),
		Logger:         silent{},
		PermessageDeflate: gws.PermessageDeflate{
			Enabled: o.Role == Deflate, ServerContextTakeover: o.Takeover, ClientContextTakeover: o.Takeover,
		},
	}).RunListener(l)
}

// silent is a logger. Connections are reset at the end of each run.
type silent struct{}

func (silent) Error(...any) {}

func (h *gwsHandler) OnOpen(c *gws.Conn) {
	if h.role == FanOut {
		h.hub.add(c)
	}
}

func (h *gwsHandler) OnClose(c *gws.Conn, _ error) {
	if h.role == FanOut {
		h.hub.remove(c)
	}
}

func (h *gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	if !published(h.role, m.Bytes()) {
		_ = c.WriteMessage(m.Opcode, m.Bytes())
		return
	}
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	h.hub.each(b.Broadcast)
	_ = b.Close()
}
