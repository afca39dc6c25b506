package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"baro.dev/internal/clients"
)

// connections counts connections: those of TCP by the hooks of [http.Server], those of QUIC before their handshake. TCP
// connections beyond a bound are told so by an answer to their request, as long as they are not too many themselves; those of QUIC
// are refused, upon which clients try TCP.
type connections struct {
	max         atomic.Int64
	open        atomic.Int64
	last        atomic.Uint64 // the id of the last one
	hosts       hosts
	exempt      func(netip.Addr) bool // says who may have as many as it likes: trusted proxies. nil where hosts are not counted
	descriptors descriptorLimit
	cut         func(why *clients.Error, remote string) // is told of those that are not even answered. nil: nobody is

	noted atomic.Int64 // as many have a note
	mu    sync.Mutex
	notes map[net.Conn]note
}

// note is what few connections have.
type note struct {
	from netip.AddrPort // where it comes from, if a proxy has said so
	host *host          // where it is counted, if it is
	cut  *clients.Error // why it is not even answered; nil: it is
}

// How many connections beyond the bound are answered rather than closed at once: in all, and of one address.
const (
	reserve       = 64
	reserveOfHost = 2
)

// connection is what requests know of theirs.
type connection struct {
	id      uint64         // for the log
	from    netip.AddrPort // where it comes from, if a proxy has said so (PROXY protocol)
	plain   bool           // without TLS
	refused *clients.Error // why all requests are
}

type connectionKey struct{}

// connectionOf is the connection of a request.
func connectionOf(ctx context.Context) connection {
	c, _ := ctx.Value(connectionKey{}).(connection)
	return c
}

// accepted is for [http.Server.ConnContext]: it comes before changed.
func (c *connections) accepted(ctx context.Context, conn net.Conn) context.Context {
	k := connection{id: c.last.Add(1)}
	_, k.plain = conn.(*net.TCPConn)
	socket := innermost(conn)
	n := c.unnote(socket)
	k.from = n.from

	few, hopeless := c.descriptors.few(socket)
	open, most := c.open.Add(1), c.max.Load()
	if open > most || few {
		k.refused = clients.ErrFull
		if hopeless || open > most+reserve {
			n.cut = k.refused
		}
	}
	peer := addrOf(conn.RemoteAddr())
	if k.from.IsValid() {
		peer = k.from.Addr()
	}
	if c.hosts.bounded() && !c.exempt(peer) {
		var beyond int
		if n.host, beyond = c.hosts.enter(peer, ofConnections); beyond > 0 {
			k.refused = clients.ErrOfAddress
			if beyond > reserveOfHost {
				n.cut = k.refused
			}
		}
	}
	if n.host != nil || n.cut != nil {
		c.note(conn, n)
	}
	return context.WithValue(ctx, connectionKey{}, k)
}

// changed is for [http.Server.ConnState].
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if n := c.noteOf(conn); n.cut != nil {
			remote := conn.RemoteAddr().String()
			if n.from.IsValid() {
				remote = n.from.String()
			}
			c.unanswered(n.cut, remote)
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		// A hijacked connection is a WebSocket: it has a slot.
		c.open.Add(-1)
		c.hosts.leave(c.unnote(conn).host, ofConnections)
	}
}

// admit is for a QUIC connection, which ctx ends with.
func (c *connections) admit(ctx context.Context, client *quic.ClientInfo) error {
	if c.open.Add(1) > c.max.Load() {
		c.open.Add(-1)
		c.unanswered(clients.ErrFull, client.RemoteAddr.String())
		return errFull
	}
	var from *host
	if peer := addrOf(client.RemoteAddr); c.hosts.bounded() && !c.exempt(peer) {
		var beyond int
		if from, beyond = c.hosts.enter(peer, ofConnections); beyond > 0 {
			c.hosts.leave(from, ofConnections)
			c.open.Add(-1)
			c.unanswered(clients.ErrOfAddress, client.RemoteAddr.String())
			return clients.ErrOfAddress
		}
	}
	context.AfterFunc(ctx, func() {
		c.open.Add(-1)
		c.hosts.leave(from, ofConnections)
	})
	return nil
}

func (c *connections) unanswered(why *clients.Error, remote string) {
	if c.cut != nil {
		c.cut(why, remote)
	}
}

// innermost is the connection that others wrap, as TLS does.
func innermost(conn net.Conn) net.Conn {
	for {
		w, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = w.NetConn()
	}
}

func (c *connections) note(conn net.Conn, n note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notes == nil {
		c.notes = map[net.Conn]note{}
	}
	if _, ok := c.notes[conn]; !ok {
		c.noted.Add(1)
	}
	c.notes[conn] = n
}

func (c *connections) noteOf(conn net.Conn) note {
	if c.noted.Load() == 0 {
		return note{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notes[conn]
}

// unnote takes a note away.
func (c *connections) unnote(conn net.Conn) note {
	if c.noted.Load() == 0 {
		return note{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.notes[conn]
	if ok {
		delete(c.notes, conn)
		c.noted.Add(-1)
	}
	return n
}
