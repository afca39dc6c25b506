package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Rule is one target, or a group of them, that clients may choose.
type Rule struct {
	name        string       // in small letters; "": prefix counts
	prefix      netip.Prefix // of the address that is connected to
	first, last uint16
}

// ParseRule reads HOST:PORT, where HOST is a name, an address or a prefix such as 10.0.0.0/8 or [fd00::]/8, and PORT is a number, a
// range such as 5900-5999, or *.
func ParseRule(s string) (Rule, error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 {
		return Rule{}, fmt.Errorf("%q must be HOST:PORT, or PREFIX:PORT as in 10.0.0.0/8:5900-5999", s)
	}
	r := Rule{first: 1, last: 1<<16 - 1}
	host, ports := s[:i], s[i+1:]
	if ports != "*" {
		first, last, isRange := strings.Cut(ports, "-")
		if !isRange {
			last = first
		}
		var err1, err2 error
		r.first, err1 = parsePort(first)
		r.last, err2 = parsePort(last)
		if err1 != nil || err2 != nil || r.first > r.last {
			return Rule{}, fmt.Errorf("%q: the port must be a number from 1 to 65535, a range of them, or *", s)
		}
	}
	plain := strings.NewReplacer("[", "", "]", "").Replace(host)
	if strings.Contains(host, "/") {
		p, err := netip.ParsePrefix(plain)
		if err != nil || p.Addr().Is4In6() {
			return Rule{}, fmt.Errorf("%q: %q is no prefix of addresses", s, host)
		}
		r.prefix = p.Masked()
		return r, nil
	}
	if ip, err := netip.ParseAddr(plain); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		r.prefix = netip.PrefixFrom(ip, ip.BitLen())
		return r, nil
	}
	if !isName(host) {
		return Rule{}, fmt.Errorf("%q: %q is neither a name nor an address", s, host)
	}
	r.name = strings.ToLower(host)
	return r, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '0' || s[0] == '+' {
		return 0, errors.New("no port")
	}
	return uint16(n), nil
}

// isName is a name that DNS or the system's list of hosts may have (RFC 1123 section 2.1, and the underscore).
func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || strings.ContainsFunc(label, func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
		}) {
			return false
		}
	}
	return true
}

// Why a client does not get the target that it asks for.
var (
	errTarget     = errors.New("the target must be HOST:PORT")
	errNotAllowed = errors.New("the target is not allowed")
	errNoAddress  = errors.New("the target has no address")
)

// resolver finds the addresses of a name: a net.Resolver's LookupNetIP.
type resolver func(ctx context.Context, network, host string) ([]netip.Addr, error)

// choose gives the addresses of a target that a client may connect to, in order. A name is resolved here and never again: what is
// checked is what is connected to.
func choose(ctx context.Context, rules []Rule, target string, resolve resolver) ([]netip.AddrPort, error) {
	host, p, err := net.SplitHostPort(target)
	if err != nil {
		return nil, errTarget
	}
	port, err := parsePort(p)
	if err != nil {
		return nil, errTarget
	}
	rules = slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return port < r.first || port > r.last })
	if ip, err := netip.ParseAddr(host); err == nil {
		if !permitted(rules, "", ip) {
			return nil, errNotAllowed
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), port)}, nil
	}
	if !isName(host) {
		return nil, errTarget
	}
	name := strings.ToLower(host)
	if !slices.ContainsFunc(rules, func(r Rule) bool { return r.name == name || r.name == "" }) {
		return nil, errNotAllowed // DNS is not asked for it
	}
	ips, err := resolve(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return nil, errNoAddress
	}
	var to []netip.AddrPort
	for _, ip := range ips {
		if permitted(rules, name, ip) {
			to = append(to, netip.AddrPortFrom(ip.Unmap(), port))
		}
	}
	if len(to) == 0 {
		return nil, errNotAllowed
	}
	return to, nil
}

// permitted tells whether one of the rules is of the name, or of the address. An IPv4 address inside an IPv6 one is that IPv4 address.
func permitted(rules []Rule, name string, ip netip.Addr) bool {
	if ip.Zone() != "" || ip.IsUnspecified() { // the latter means this machine, whatever it says
		return false
	}
	ip = ip.Unmap()
	return slices.ContainsFunc(rules, func(r Rule) bool {
		if r.name != "" {
			return r.name == name
		}
		return r.prefix.Contains(ip)
	})
}
