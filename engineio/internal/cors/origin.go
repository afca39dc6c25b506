package cors

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Allowed tells whether a request may be served that has origin in its Origin header and host in its Host header: it is
// of the same origin, or the options allow it. A request without the header, for which origin is "", comes from no page of
// another origin, and may.
//
// The same origin is an http or https page of that host and port. The schemes are not compared, since a proxy that ends
// TLS hides the one the browser used; a port absent from host is the default one of the page's scheme.
func (o *Options) Allowed(origin, host string) bool {
	return origin == "" || sameOrigin(origin, host) || o.Enabled() && o.listed(origin)
}

// any tells whether every origin is allowed.
func (o *Options) any() bool { return slices.Contains(o.Origins, "*") }

func (o *Options) listed(value string) bool {
	parsed, ok := parseOrigin(value)
	for _, entry := range o.Origins {
		if entry == "*" || entry == "null" && value == "null" || ok && matches(entry, parsed) {
			return true
		}
	}
	return o.AllowOrigin != nil && o.AllowOrigin(value)
}

// matches tells whether entry, of [Options.Origins], allows p.
func matches(entry string, p origin) bool {
	e, below, anyPort, ok := parseEntry(entry)
	switch {
	case !ok || !equalFold(e.scheme, p.scheme):
		return false
	case !anyPort && e.effectivePort() != p.effectivePort():
		return false
	case !below:
		return equalFold(e.host, p.host)
	}
	// The label before the dot is not empty: parseHost has seen to it.
	dot := len(p.host) - len(e.host) - 1
	return dot > 0 && p.host[dot] == '.' && equalFold(p.host[dot+1:], e.host)
}

// parseEntry takes an entry of [Options.Origins] apart, its wildcards being below, for hosts below e.host, and anyPort.
func parseEntry(entry string) (e origin, below, anyPort, ok bool) {
	scheme, host, found := strings.Cut(entry, "://")
	host, below = strings.CutPrefix(host, "*.")
	host, anyPort = strings.CutSuffix(host, ":*")
	if !found || !isScheme(scheme) {
		return e, false, false, false
	}
	e.scheme = scheme
	e.host, e.port, ok = parseHost(host)
	return e, below, anyPort, ok && !(anyPort && e.port != "")
}

func validateEntry(entry string) error {
	if entry == "*" || entry == "null" {
		return nil
	}
	e, below, _, ok := parseEntry(entry)
	switch {
	case ok && below && isAddress(e.host):
		return errors.New("no host is below an address")
	case ok && (equalFold(e.scheme, "ws") || equalFold(e.scheme, "wss")):
		return errors.New("the origin of a page is http or https")
	case !ok:
		return errors.New("not an origin (scheme://host or scheme://host:port, international names in ASCII, no path; * only for all, in front of a host or for its port)")
	}
	return nil
}

func sameOrigin(value, host string) bool {
	p, ok := parseOrigin(value)
	if !ok || !equalFold(p.scheme, "http") && !equalFold(p.scheme, "https") {
		return false
	}
	own := origin{scheme: p.scheme}
	own.host, own.port, ok = parseHost(host)
	return ok && equalFold(own.host, p.host) && own.effectivePort() == p.effectivePort()
}

// origin is a serialized origin taken apart (RFC 6454 6.2). The port is empty where it was absent.
type origin struct{ scheme, host, port string }

func parseOrigin(s string) (p origin, ok bool) {
	scheme, host, found := strings.Cut(s, "://")
	if !found || !isScheme(scheme) {
		return p, false
	}
	p.scheme = scheme
	p.host, p.port, ok = parseHost(host)
	return p, ok
}

func (p origin) effectivePort() string {
	switch {
	case p.port != "":
		return p.port
	case equalFold(p.scheme, "http"):
		return "80"
	case equalFold(p.scheme, "https"):
		return "443"
	}
	return ""
}

// isScheme follows RFC 3986 3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && (i == 0 || s[i] != '+' && s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != "" && s[0] > '9'
}

// parseHost takes host[:port] apart. A host is a name, an IPv4 address, or an IPv6 address, which keeps its brackets.
func parseHost(s string) (host, port string, ok bool) {
	end := 0
	if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']') + 1
		if end == 0 {
			return "", "", false
		}
		if addr, err := netip.ParseAddr(s[1 : end-1]); err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false
		}
	} else {
		for end < len(s) && (isAlnum(s[end]) || s[end] == '-' || s[end] == '.' || s[end] == '_') {
			end++
		}
	}
	host, port = s[:end], s[end:]
	if host == "" || host[0] == '.' {
		return "", "", false
	}
	if port == "" {
		return host, "", true
	}
	return host, port[1:], port[0] == ':' && isPort(port[1:])
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// isAddress tells an IP address from a name, which alone has hosts below it.
func isAddress(host string) bool {
	if host[0] == '[' {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// equalFold ignores the case of ASCII letters only: strings.EqualFold takes U+212A, the Kelvin sign, for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
