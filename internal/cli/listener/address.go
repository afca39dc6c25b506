// Package listener is what baro listen and baro bridge answer at: addresses, TLS, and which pages of browsers may come.
package listener

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"baro.dev/internal/neterr"
)

// Address is where to listen.
type Address struct {
	Network string // "tcp" or "unix"
	Addr    string // host:port, or a path
}

// ParseAddress reads 8080 and localhost:8080, which are this machine's alone, :8080 and 0.0.0.0:8080, which are everybody's, and
// unix:/path.
func ParseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return Address{}, fmt.Errorf("the address %q has no path", s)
		}
		return Address{"unix", path}, nil
	}
	if !strings.Contains(s, ":") {
		s = net.JoinHostPort("127.0.0.1", s)
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, fmt.Errorf("the address %q is neither a port, nor HOST:PORT, nor unix:/path", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Address{}, fmt.Errorf("the address %q has no port from 0 to 65535", s)
	}
	return Address{"tcp", s}, nil
}

// Open listens. A unix socket is for its owner alone; one that nobody answers at any more is replaced, and the socket is removed when the
// listener is closed.
func (a Address) Open(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, a.Network, a.Addr)
	if a.Network != "unix" {
		return l, err
	}
	if errors.Is(err, neterr.ErrInUse) && a.abandoned(ctx) {
		if err := os.Remove(a.Addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		l, err = config.Listen(ctx, a.Network, a.Addr)
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(a.Addr, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// abandoned tells whether there is a socket that nobody answers at.
func (a Address) abandoned(ctx context.Context) bool {
	info, err := os.Stat(a.Addr)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, a.Network, a.Addr)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, neterr.ErrRefused)
}

// Loopback tells whether addr can be reached from this machine alone.
func Loopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// loopbackHost tells whether a browser takes a host for its own machine: localhost and what is below it (RFC 6761 section 6.3), 127.0.0.0/8, ::1.
func loopbackHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// Host is the host of an address of TCP; "" for all of them, and for a unix socket.
func (a Address) Host() string {
	if a.Network != "tcp" {
		return ""
	}
	host, _, _ := net.SplitHostPort(a.Addr)
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		return ""
	}
	return host
}
