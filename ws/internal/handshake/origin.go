package handshake

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// CheckOrigin tells whether the page that a request comes from may open a WebSocket here (RFC 6455 4.2.2 and 10.2). The
// error is an [*Error] with status 403.
//
// A request without an Origin header comes from no browser and is allowed. If nothing is listed in allowed, the page has
// to be of the same origin: an http or https page of the host and port in the Host header. The schemes are not
// compared, since a proxy that ends TLS hides the one the browser used; a port absent from the Host header is the
// default one of the page's scheme.
//
// A list replaces that rule, so that a server may name all its pages (and be safe from names that an attacker points at
// it). An entry is an origin, scheme://host[:port], and allows exactly that one; or null, which sandboxed documents
// send; or file://, which some embedded browsers send. "*" on its own allows every origin. Malformed entries allow
// nothing; [ValidateOrigins] finds them.
//
// Schemes and hosts match in any case, and a default port equals an absent one. A host with a trailing dot is another
// host, as in browsers. International names are in their ASCII form, as browsers send them.
func CheckOrigin(r *http.Request, allowed []string) error {
	values := r.Header["Origin"]
	if len(values) == 0 {
		return nil
	}
	value := values[0]
	switch {
	case len(values) > 1:
		return refuse(http.StatusForbidden, "Origin header: %s", quoteAll(values))
	case len(allowed) == 0 && sameOrigin(value, r.Host):
		return nil
	case len(allowed) == 0:
		return refuse(http.StatusForbidden, "Origin header: %s is not of the host %s", quote(value), quote(r.Host))
	case len(allowed) == 1 && allowed[0] == "*" || listedOrigin(value, allowed):
		return nil
	}
	return refuse(http.StatusForbidden, "Origin header: %s is not allowed", quote(value))
}

// ValidateOrigins tells whether every entry of an allow-list for [CheckOrigin] can match something. The error names the
// first that cannot.
func ValidateOrigins(allowed []string) error {
	for _, entry := range allowed {
		if err := validateOrigin(entry, len(allowed)); err != nil {
			return fmt.Errorf("websocket handshake: allowed origin %s: %w", quote(entry), err)
		}
	}
	return nil
}

func validateOrigin(entry string, entries int) error {
	if entry == "*" && entries > 1 {
		return errors.New("allows every origin and has to stand alone")
	}
	if entry == "*" || opaqueOrigin(entry) {
		return nil
	}
	o, ok := parseOrigin(entry)
	switch {
	case ok && (equalFold(o.scheme, "ws") || equalFold(o.scheme, "wss")):
		return errors.New("the origin of a page is http or https")
	case !ok:
		return errors.New("not an origin (scheme://host or scheme://host:port, international names in ASCII, no path, no wildcard)")
	}
	return nil
}

// opaqueOrigin tells whether s is one of the origins that name no host.
func opaqueOrigin(s string) bool { return s == "null" || s == "file://" }

func sameOrigin(value, host string) bool {
	o, ok := parseOrigin(value)
	if !ok || !equalFold(o.scheme, "http") && !equalFold(o.scheme, "https") {
		return false
	}
	own := origin{scheme: o.scheme}
	if own.host, own.port, ok = parseHost(host); !ok {
		return false
	}
	return o.equal(own)
}

func listedOrigin(value string, allowed []string) bool {
	o, ok := parseOrigin(value)
	for _, entry := range allowed {
		if opaqueOrigin(entry) && entry == value {
			return true
		}
		if listed, valid := parseOrigin(entry); ok && valid && o.equal(listed) {
			return true
		}
	}
	return false
}

// origin is a serialized origin taken apart (RFC 6454 6.2). The port is empty where it was absent.
type origin struct{ scheme, host, port string }

func parseOrigin(s string) (o origin, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !isScheme(scheme) {
		return o, false
	}
	o.scheme = scheme
	o.host, o.port, ok = parseHost(rest)
	return o, ok
}

func (o origin) equal(p origin) bool {
	return equalFold(o.scheme, p.scheme) && equalHost(o.host, p.host) && o.effectivePort() == p.effectivePort()
}

func (o origin) effectivePort() string {
	switch {
	case o.port != "":
		return o.port
	case equalFold(o.scheme, "http"):
		return "80"
	case equalFold(o.scheme, "https"):
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
	if host == "" {
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

func equalHost(a, b string) bool {
	if equalFold(a, b) {
		return true
	}
	if a[0] != '[' || b[0] != '[' {
		return false
	}
	x, _ := netip.ParseAddr(a[1 : len(a)-1])
	y, _ := netip.ParseAddr(b[1 : len(b)-1])
	return x == y
}
