package wsh3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// keepAlive is how often a packet keeps a connection, and what lies between, from timing out.
const keepAlive = 10 * time.Second

// connWindow is how much a server may send on all streams of a connection that nobody has read yet, in bytes. It is 128
// times what it may send on one before the first of it is read, so that readers who stop do not stop the others.
const connWindow = 64 << 20

// authority is the host and port of u.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dial makes a QUIC connection to addr as t says.
func dial(ctx context.Context, t *http3.Transport, addr string) (*quic.Conn, error) {
	dial := t.Dial
	if dial == nil {
		dial = dialUDP
	}
	return dial(ctx, addr, tlsConfig(t, addr), quicConfig(t))
}

func tlsConfig(t *http3.Transport, addr string) *tls.Config {
	config := new(tls.Config)
	if t.TLSClientConfig != nil {
		config = t.TLSClientConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	config.NextProtos = []string{http3.NextProtoH3}
	return config
}

func quicConfig(t *http3.Transport) *quic.Config {
	config := &quic.Config{
		KeepAlivePeriod:                keepAlive,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     connWindow,
	}
	if t.QUICConfig != nil {
		config = t.QUICConfig.Clone()
	}
	if config.MaxIncomingStreams == 0 {
		config.MaxIncomingStreams = -1 // a server opens no requests (RFC 9114 6.1)
	}
	if t.EnableDatagrams {
		config.EnableDatagrams = true
	}
	return config
}

// dialUDP connects to addr, trying its addresses in turn, through a socket of its own.
func dialUDP(ctx context.Context, addr string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
	targets, err := resolve(ctx, addr)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	transport := &quic.Transport{Conn: socket}
	end := func() {
		_ = transport.Close()
		_ = socket.Close()
	}
	var errs []error
	for _, target := range targets {
		q, err := transport.Dial(ctx, net.UDPAddrFromAddrPort(target), tlsConfig, config)
		if err == nil {
			context.AfterFunc(q.Context(), end)
			return q, nil
		}
		errs = append(errs, err)
	}
	end()
	return nil, errors.Join(errs...)
}

// resolve returns the addresses of addr, IPv4 first: UDP does not say that an address cannot be reached, and IPv6 is the
// one that mostly cannot.
func resolve(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "udp", service)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var v4, v6 []netip.AddrPort
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			v4 = append(v4, netip.AddrPortFrom(ip, uint16(port)))
		} else {
			v6 = append(v6, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	return slices.Concat(v4, v6), nil
}
