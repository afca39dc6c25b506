package dialer

import (
	"context"
	"errors"
	"io"
	"net"

	socks5 "golang.org/x/net/proxy"
)

// socks asks the SOCKS5 proxy at the other end of conn for a tunnel to addr (RFC 1928, RFC 1929). It owns conn: an error
// closes it. Exactly the proxy's answer is read, so that conn itself is the tunnel.
func (p *proxy) socks(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	var auth *socks5.Auth
	if p.user != nil {
		password, _ := p.user.Password()
		auth = &socks5.Auth{User: p.user.Username(), Password: password}
	}
	// SOCKS5 itself cannot fail, and over a connection that is there already it only speaks.
	dialer, _ := socks5.SOCKS5("tcp", p.address, auth, connected{conn})
	err := interruptible(ctx, conn, func() error {
		_, err := dialer.Dial("tcp", addr)
		return err
	})
	if err == nil {
		return conn, nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "socks connect" {
		err = op.Err // the rest of it is said below
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, &Error{Phase: PhaseTunnel, Addr: p.String() + " to " + addr, Err: err}
}

// connected is a dialer that is there already.
type connected struct{ conn net.Conn }

func (c connected) Dial(string, string) (net.Conn, error) { return c.conn, nil }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) { return c.conn, nil }
