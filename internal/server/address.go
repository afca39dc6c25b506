package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"baro.dev/internal/origin"
	"baro.dev/internal/realip"
)

// forwarded is what is known of a request that a trusted proxy has passed on, and that looks as if it came from the client
// itself: RemoteAddr is the client's address, Host the one that it asked for.
type forwarded struct {
	host  string // that the proxy asked for
	https bool   // the client spoke TLS
}

type forwardedKey struct{}

// forwardedOf is zero for a request that came directly.
func forwardedOf(r *http.Request) forwarded {
	f, _ := r.Context().Value(forwardedKey{}).(forwarded)
	return f
}

// locate gives a request that came through proxies the address of the client, and what it asked for, as far as proxies
// say so that are trusted. What others say is left where it is, and nobody looks at it.
func (s *Server) locate(r *http.Request) *http.Request {
	peer := r.RemoteAddr
	if from := connectionOf(r.Context()).from; from.IsValid() {
		peer = from.String()
	}
	trusted := s.trusted.Load()
	if trusted.Empty() && peer == r.RemoteAddr {
		return r
	}
	address, err := netip.ParseAddrPort(peer)
	if err != nil {
		return r
	}
	source, ok := trusted.Source(address, r.Header)
	if !ok && peer == r.RemoteAddr {
		return r
	}
	f := forwarded{host: r.Host, https: source.Proto == "https"}
	r = r.WithContext(context.WithValue(r.Context(), forwardedKey{}, f)) // a copy
	r.RemoteAddr = peer
	if ok {
		r.RemoteAddr = source.Addr.String()
	}
	if _, err := origin.Parse("http://" + source.Host); err == nil {
		r.Host = source.Host
	}
	return r
}

// clientAddr is the address of the client of a request: of the one that trusted proxies name, or else of the peer. Invalid where
// there is none. It is compared as [realip.Plain] has it.
func (s *Server) clientAddr(r *http.Request) netip.Addr { return parseAddr(r.RemoteAddr) }

// parseAddr is the address in one with a port.
func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return realip.Plain(a.Addr())
}

// addrOf is the address of one end of a connection.
func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return realip.Plain(a.AddrPort().Addr())
	case *net.UDPAddr:
		return realip.Plain(a.AddrPort().Addr())
	}
	return netip.Addr{}
}

// askedHost is the Host of a request as it came.
func askedHost(r *http.Request) string {
	if f := forwardedOf(r); f.host != "" {
		return f.host
	}
	return r.Host
}
