package load

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"slices"

	"baro.dev/internal/cli/target"
)

// From is the target that flags say. Connections go straight there, by HTTP/1.1: through a proxy it would be the proxy that is measured.
func From(t *target.Target) (Target, error) {
	if t.URL.Scheme == "ws+unix" {
		return Target{}, usage("bench takes the path of a unix socket by --unix, beside a URL such as ws://localhost/")
	}
	header := t.Header.Clone()
	return Target{URL: t.URL, Header: header, Timeout: t.Timeout, Dial: func(ctx context.Context, u *url.URL) (net.Conn, error) {
		secure := u.Scheme == "wss" || u.Scheme == "https"
		nc, err := t.DialContext(ctx, "tcp", hostPort(u))
		if err != nil || !secure {
			return nc, err
		}
		config := t.TLS.Clone()
		config.NextProtos = []string{"http/1.1"}
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		c := tls.Client(nc, config)
		if err := c.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		return c, nil
	}}, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "wss" || u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// What may be put on a server on the internet without asking.
const (
	politeConnections = 50
	politeRate        = 100
)

// Impolite is the error for more load than may be put, without asking, on a server whose address is neither this machine's nor of a
// private network; nil if it is not more. It looks the names up.
func Impolite(ctx context.Context, o *Options, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) error {
	if o.Connections <= politeConnections && o.Rate > 0 && o.Rate <= politeRate && o.Scenario != Reconnect {
		return nil
	}
	for _, u := range []*url.URL{o.Target.URL, o.api()} {
		addresses, err := lookup(ctx, "ip", u.Hostname())
		if err != nil {
			continue // connecting will tell
		}
		if i := slices.IndexFunc(addresses, isPublic); i >= 0 {
			return usage("%s (%s) is on the internet. More than %d connections, more than %d messages a second, a closed loop and storms take "+
				"--yes there, which says that its owner knows", u.Hostname(), addresses[i].Unmap(), politeConnections, politeRate)
		}
	}
	return nil
}

// isPublic says whether an address is of neither this machine nor a private network.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !sharedSpace.Contains(a)
}

// sharedSpace is that of networks behind the translation of addresses of a provider (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
