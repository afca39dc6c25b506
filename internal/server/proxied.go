package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"baro.dev/internal/proxyproto"
)

// maxAnnounced is how many connections of proxies may have their header under way. It is the first that a proxy sends: they are few.
const maxAnnounced = 1024

// proxied is a listener to which trusted proxies say by the PROXY protocol whose connections they pass on. What it accepts has its
// header behind it, and is what was accepted below: what goes over plain TCP can still be driven by an event loop.
type proxied struct {
	net.Listener
	server *Server
	ready  chan incoming
	closed chan struct{}
	end    func()

	mu        sync.Mutex
	announced map[net.Conn]struct{} // whose header is under way; nil: closed
}

// incoming is a connection, or why there is none.
type incoming struct {
	conn net.Conn
	err  error
}

func newProxied(s *Server, l net.Listener) *proxied {
	p := &proxied{Listener: l, server: s, ready: make(chan incoming), closed: make(chan struct{}), announced: map[net.Conn]struct{}{}}
	p.end = sync.OnceFunc(func() { close(p.closed) })
	go p.run()
	return p
}

// Accept implements [net.Listener].
func (p *proxied) Accept() (net.Conn, error) {
	select {
	case in := <-p.ready:
		return in.conn, in.err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (p *proxied) Close() error {
	p.end()
	p.mu.Lock()
	for conn := range p.announced {
		_ = conn.Close()
	}
	p.announced = nil
	p.mu.Unlock()
	return p.Listener.Close()
}

// run accepts connections. An error is for who accepts here, and knows when to go on.
func (p *proxied) run() {
	for {
		conn, err := p.Listener.Accept()
		switch {
		case err != nil:
			if !p.hand(incoming{err: err}) || errors.Is(err, net.ErrClosed) {
				return
			}
		case !p.server.trusted.Load().Contains(addrOf(conn.RemoteAddr())):
			p.hand(incoming{conn: conn})
		case !p.enter(conn):
			p.server.refusedTLS("proxy_header", "too many connections of proxies have not said whose they are", remoteAttr(conn))
			_ = conn.Close()
		default:
			go p.announce(conn)
		}
	}
}

// hand hands over, and says whether anybody has taken it.
func (p *proxied) hand(in incoming) bool {
	select {
	case p.ready <- in:
		return true
	case <-p.closed:
		if in.conn != nil {
			_ = in.conn.Close()
		}
		return false
	}
}

func (p *proxied) enter(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.announced == nil || len(p.announced) >= maxAnnounced {
		return false
	}
	p.announced[conn] = struct{}{}
	return true
}

func (p *proxied) leave(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.announced, conn)
}

// announce reads the header of a connection, and hands it over.
func (p *proxied) announce(conn net.Conn) {
	s := p.server
	_ = conn.SetReadDeadline(time.Now().Add(s.config.HeaderTimeout))
	from, err := proxyproto.Read(conn)
	_ = conn.SetReadDeadline(time.Time{})
	p.leave(conn)
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) { // a check of health, or the end
			s.refusedTLS("proxy_header", err.Error(), remoteAttr(conn))
		}
		_ = conn.Close()
		return
	}
	s.connections.says(conn, from)
	if !p.hand(incoming{conn: conn}) {
		s.connections.unnote(conn)
	}
}

func remoteAttr(conn net.Conn) slog.Attr { return slog.String("remote", conn.RemoteAddr().String()) }

// says notes where a connection comes from by the word of a proxy. Without an address it is the proxy's own.
func (c *connections) says(conn net.Conn, from netip.AddrPort) {
	if from.IsValid() {
		c.note(conn, note{from: from})
	}
}
