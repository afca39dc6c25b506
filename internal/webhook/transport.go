package webhook

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Bounds of a request that no configuration changes.
const (
	dialTimeout    = 5 * time.Second
	maxHeaderBytes = 64 << 10 // of an answer
	// idleTimeout is shorter than what Node.js keeps a silent connection for, which is 5 s: a request that meets a connection
	// being closed is lost, and nobody can tell whether it was heard.
	idleTimeout = 4 * time.Second
)

// NewTransport makes what a [Sender] or an [Asker] speaks through: over at most conns connections to each host (0: as many
// as it takes), HTTP/1.1, or HTTP/2 with TLS. Certificates are verified, by the system's roots or as config says, which may
// be nil. Proxies are those of the environment, as everywhere in Go.
//
// It does not connect to link-local addresses (169.254.0.0/16, fe80::/10) nor fd00:ec2::254: there clouds answer whoever
// asks with the credentials of the machine, and no backend is. This is about names that resolve to one, now or later; what
// a proxy connects to is the proxy's business.
func NewTransport(config *tls.Config, conns int) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: refuseMetadata}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // an answer is small, or not wanted
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    max(conns, 2),
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		// A connection that has fallen silent would take every request of HTTP/2 with it until each times out.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// refuseMetadata is called with an address that a name has been resolved to.
func refuseMetadata(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if isMetadata(ap.Addr()) {
		return fmt.Errorf("webhook: %s is a link-local address, where clouds have their metadata: refused", ap.Addr())
	}
	return nil
}

func isMetadata(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsLinkLocalUnicast() || a == netip.MustParseAddr("fd00:ec2::254")
}
