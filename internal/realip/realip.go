// Package realip finds out where a request came from that came through proxies: by the header fields Forwarded (RFC 7239) and
// X-Forwarded-For, of proxies that are trusted and of nobody else.
package realip

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Trusted is which peers are proxies that are believed. The zero value trusts nobody. It is not changed, and may be used
// concurrently.
type Trusted struct {
	prefixes []netip.Prefix
}

// named are the words that stand for networks.
var named = map[string][]string{
	"loopback": {"127.0.0.0/8", "::1/128"},
	"private":  {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}, // RFC 1918, RFC 4193
}

// Parse makes a list of addresses, networks (10.0.0.0/8) and words: loopback, and private for the networks of RFC 1918 and
// RFC 4193. The error names the entry that is none of these.
func Parse(list []string) (Trusted, error) {
	var t Trusted
	for _, entry := range list {
		entry = strings.TrimSpace(entry)
		networks, ok := named[entry]
		if !ok {
			networks = []string{entry}
		}
		for _, network := range networks {
			p, err := parsePrefix(network)
			if err != nil {
				return Trusted{}, fmt.Errorf("%q is no address, no network such as 10.0.0.0/8, and neither loopback nor private", entry)
			}
			t.prefixes = append(t.prefixes, p)
		}
	}
	return t, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no address", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, err
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("%q is a part of the addresses of IPv4 alone", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// Empty says whether nobody is trusted.
func (t Trusted) Empty() bool { return len(t.prefixes) == 0 }

// Contains says whether a peer with this address is trusted.
func (t Trusted) Contains(a netip.Addr) bool {
	a = Plain(a)
	for _, p := range t.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Plain is an address in the one form that it is compared in: without a zone, and one of IPv4 as that.
func Plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// A Source is where a request came from. What is not known is zero.
type Source struct {
	Addr  netip.AddrPort // port 0: not known
	Proto string         // that the client used: "http" or "https"
	Host  string         // that it asked for
}

// Source says where a request with the header h came from that came from peer. ok is false where there is nothing to be known
// but peer: it is no trusted proxy, or does not say; and where it says two things, in Forwarded and X-Forwarded-For: a
// proxy that writes only one of them passes on what a client forged in the other. Of the
// addresses in a field the last that is not of a trusted proxy is the client's: what is before it anybody can have written.
func (t Trusted) Source(peer netip.AddrPort, h http.Header) (s Source, ok bool) {
	if !t.Contains(peer.Addr()) {
		return Source{}, false
	}
	standard, usual := h["Forwarded"], h["X-Forwarded-For"]
	switch {
	case len(standard) > 0 && len(usual) > 0:
		s, ok = t.walk(peer, forwarded(standard))
		other, also := t.walk(peer, forwardedFor(usual))
		if !ok || !also || s.Addr.Addr() != other.Addr.Addr() {
			return Source{}, false
		}
	case len(standard) > 0:
		s, ok = t.walk(peer, forwarded(standard))
	case len(usual) > 0:
		s, ok = t.walk(peer, forwardedFor(usual))
	default:
		s, ok = Source{Addr: peer}, h["X-Forwarded-Proto"] != nil || h["X-Forwarded-Host"] != nil
	}
	if !ok {
		return Source{}, false
	}
	if s.Proto == "" {
		s.Proto = last(h["X-Forwarded-Proto"])
	}
	if s.Host == "" {
		s.Host = last(h["X-Forwarded-Host"])
	}
	if s.Proto = strings.ToLower(s.Proto); s.Proto != "http" && s.Proto != "https" {
		s.Proto = ""
	}
	return s, true
}

// last is the last of the values of a list, which the nearest proxy wrote.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	v := values[len(values)-1]
	return strings.TrimSpace(v[strings.LastIndexByte(v, ',')+1:])
}

// walk goes through the hops, the nearest first. ok is false if not even the first is known.
func (t Trusted) walk(peer netip.AddrPort, hops func(yield func(hop) bool)) (s Source, ok bool) {
	for h := range hops {
		a, known := parseNode(h.node)
		if !known {
			break // the proxy that says so is the last that is known
		}
		s, ok = Source{Addr: a, Proto: h.proto, Host: h.host}, true
		if !t.Contains(a.Addr()) {
			break
		}
	}
	return s, ok
}

// parseNode parses an address with or without a port: 192.0.2.1:47011, [2001:db8::1]:80, 2001:db8::1. What a proxy hides (RFC 7239
// section 6.3), and what is malformed, is not known.
func parseNode(s string) (a netip.AddrPort, known bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(Plain(ap.Addr()), ap.Port()), true
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(Plain(addr), 0), true
}
