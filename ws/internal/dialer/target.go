package dialer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Target is a WebSocket URL taken apart (RFC 6455 3). Nobody changes one once it is made.
type Target struct {
	Network string // "tcp" or "unix"
	Address string // host:port, an IPv6 literal in brackets with its zone; or the path of the socket
	TLS     bool

	// URL is what the opening handshake asks for, as HTTP writes it: scheme http or https; Host the value of the Host header
	// (lower case, no default port, no IPv6 zone; "localhost" for a Unix socket); RequestURI() the resource name, all of it
	// visible ASCII; User the credentials, if any.
	URL *url.URL
}

// ParseURL reads a ws, wss, http or https URL, or ws+unix:///path/to.sock:/request/path?query (and wss+unix), where the
// first ':' ends the socket's path and a ':' within it is written %3A.
//
// A fragment is refused (RFC 6455 3: "MUST NOT be used on these URIs"), and so is a host that is not ASCII: an
// internationalised name is written in its xn-- form. Errors match ErrInvalidURL and never show userinfo.
func ParseURL(s string) (*Target, error) {
	t, err := parse(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidURL, err)
	}
	return t, nil
}

func parse(s string) (*Target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, withoutURL(s, err)
	}
	// An empty fragment leaves no trace in a url.URL.
	if strings.Contains(s, "#") {
		return nil, errors.New("it has a fragment")
	}
	switch u.Scheme {
	case "ws+unix", "wss+unix":
		return unixTarget(u)
	}
	return tcpTarget(u)
}

// withoutURL is what net/url found wrong with s, without s: a password may be in it, and a part of one even in the cause.
func withoutURL(s string, err error) error {
	if strings.Contains(s, "@") {
		return errors.New("it cannot be parsed (not shown: it may hold a password)")
	}
	return errors.Unwrap(err) // of the *url.Error, whose text begins with s
}

func tcpTarget(u *url.URL) (*Target, error) {
	t := &Target{Network: "tcp", URL: &url.URL{Scheme: "http"}}
	port := "80"
	switch u.Scheme {
	case "ws", "http":
	case "wss", "https":
		t.TLS, t.URL.Scheme, port = true, "https", "443"
	default:
		return nil, fmt.Errorf("scheme %q is not one of ws, wss, http, https, ws+unix, wss+unix", u.Scheme)
	}
	if u.Opaque != "" {
		return nil, errors.New("no // after the scheme")
	}
	h, err := parseHost(u, port)
	if err != nil {
		return nil, err
	}
	t.Address = h.address()
	t.URL.Host = h.header(port)
	t.setResource(u)
	return t, nil
}

func unixTarget(u *url.URL) (*Target, error) {
	t := &Target{Network: "unix", URL: &url.URL{Scheme: "http", Host: "localhost"}}
	if u.Scheme == "wss+unix" {
		t.TLS, t.URL.Scheme = true, "https"
	}
	if u.Host != "" || u.Opaque != "" {
		return nil, fmt.Errorf("the path of the socket must be absolute: %s:///path", u.Scheme)
	}
	path, resource, _ := strings.Cut(u.EscapedPath(), ":")
	// What EscapedPath returns can be unescaped.
	t.Address, _ = url.PathUnescape(path)
	if t.Address == "" || t.Address == "/" {
		return nil, errors.New("no path of a socket")
	}
	if strings.ContainsRune(t.Address, 0) {
		return nil, errors.New("NUL in the path of the socket")
	}
	if resource != "" && resource[0] != '/' {
		return nil, errors.New("no / after the ':' that ends the path of the socket")
	}
	u.Path, _ = url.PathUnescape(resource)
	u.RawPath = resource
	t.setResource(u)
	return t, nil
}

// setResource takes over from u what is asked of the server: path, query, credentials.
func (t *Target) setResource(u *url.URL) {
	t.URL.User, t.URL.Path, t.URL.RawPath, t.URL.ForceQuery = u.User, u.Path, u.RawPath, u.ForceQuery
	if t.URL.Path == "" {
		t.URL.Path, t.URL.RawPath = "/", ""
	}
	t.URL.RawQuery = escapeQuery(u.RawQuery)
}

// String is the URL as it would be written for ParseURL, without credentials.
func (t *Target) String() string {
	scheme, resource := "ws", t.URL.RequestURI()
	if t.TLS {
		scheme = "wss"
	}
	if t.Network == "unix" {
		path := strings.ReplaceAll((&url.URL{Path: t.Address}).EscapedPath(), ":", "%3A")
		return scheme + "+unix://" + path + ":" + resource
	}
	return scheme + "://" + t.URL.Host + resource
}

// host is the authority of a URL, checked.
type host struct {
	name string // lower case; an IPv6 literal without brackets and zone
	zone string // of the IPv6 literal, with its '%'
	port string // canonical decimal, 1 to 65535
}

func (h host) address() string { return net.JoinHostPort(h.name+h.zone, h.port) }

// header is the Host header's value. A zone means nothing to the other side (RFC 6874 4).
func (h host) header(defaultPort string) string {
	s := net.JoinHostPort(h.name, h.port)
	if h.port == defaultPort {
		return strings.TrimSuffix(s, ":"+h.port)
	}
	return s
}

func parseHost(u *url.URL, defaultPort string) (host, error) {
	h := host{name: u.Hostname(), port: defaultPort}
	if h.name == "" {
		return h, errors.New("no host")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return h, fmt.Errorf("port %q is not within 1 and 65535", p)
		}
		h.port = strconv.FormatUint(n, 10)
	}
	if strings.HasPrefix(u.Host, "[") {
		ip, err := netip.ParseAddr(h.name)
		if err != nil || !ip.Is6() || !isHostName(ip.Zone()) {
			return h, fmt.Errorf("%q is not an IPv6 address", h.name)
		}
		h.name = ip.WithZone("").String()
		if ip.Zone() != "" {
			h.zone = "%" + ip.Zone()
		}
		return h, nil
	}
	if !isHostName(h.name) {
		return h, fmt.Errorf("host %q is neither an address nor a name in ASCII (xn-- form)", h.name)
	}
	h.name = strings.ToLower(h.name)
	return h, nil
}

// isHostName says whether s holds nothing but the unreserved characters of RFC 3986 2.3: enough for every name that a
// resolver knows, and nothing that means something in a request line or a header.
func isHostName(s string) bool {
	for _, b := range []byte(s) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '-', b == '.', b == '_', b == '~':
		default:
			return false
		}
	}
	return true
}

// escapeQuery escapes what may not stand in a request line. net/url checks a path, but takes a query as it is, and a space
// would end the request target.
func escapeQuery(q string) string {
	var b strings.Builder
	for _, c := range []byte(q) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
