package bridge

import (
	"context"
	"net"
	"net/netip"
)

// Resolve has names looked up by f, from before Serve on.
func (b *Bridge) Resolve(f func(ctx context.Context, network, host string) ([]netip.Addr, error)) {
	b.resolve = f
}

// ComesFrom has all connections come from an address, from before Serve on.
func (b *Bridge) ComesFrom(address string) {
	b.l = elsewhere{b.l, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))}
}

type elsewhere struct {
	net.Listener
	remote net.Addr
}

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return remote{c, l.remote}, err
}

type remote struct {
	net.Conn
	address net.Addr
}

func (r remote) RemoteAddr() net.Addr { return r.address }

var (
	TargetLine = targetLine
	Choose     = choose
)

// Permitted is for what Choose has chosen.
func Permitted(rules []Rule, name string, ip netip.Addr) bool { return permitted(rules, name, ip) }
