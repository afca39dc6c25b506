// Package origin compares the origins of pages, which browsers name in the header Origin (RFC 6454, sections 6.2 and 7),
// with each other, with the host that a request was sent to, and with patterns.
//
// It takes no more than what browsers send: schemes and hosts in any case, but international names in ASCII, ports from 1
// to 65535 without leading zeros, and neither user names nor paths. Who may do what is for its callers to say, and so are
// "null" and "*", which are not origins here.
//
// Everything may be called concurrently.
package origin

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Origin is a serialized origin taken apart. The == operator compares origins as browsers do: a default port equals an
// absent one, an IPv6 address equals itself however it is written, and a host with a dot at its end is another host. The
// zero value is what no page comes from.
type Origin struct {
	// Scheme is in small letters. Besides http and https it may be one of an application, such as chrome-extension.
	Scheme string
	// Host is a name or an address in small letters, an IPv6 address in brackets and as RFC 5952 writes it.
	Host string
	// Port is the default one of http and https where none was given, and 0 where the scheme has no default.
	Port uint16
}

// Errors name what is wrong with an entry of a list; the list and the entry are for the caller to name.
var (
	errScheme  = errors.New("it must begin with http:// or https://")
	errNoHost  = errors.New("it has no host")
	errHost    = errors.New("its host must be a name, international ones in ASCII, or an address")
	errPort    = errors.New("its port must be a number from 1 to 65535")
	errRest    = errors.New("it must have nothing after the host and port")
	errAddress = errors.New("no host is below an address")
)

// Parse takes a serialized origin apart: scheme://host or scheme://host:port. The schemes ws and wss are errors, since no
// page has them.
func Parse(s string) (Origin, error) {
	scheme, host, err := cutScheme(s)
	if err != nil {
		return Origin{}, err
	}
	return parse(scheme, host)
}

// Same tells whether o is the origin of a page that host, of a Host header, serves: an http or https page of that host and
// port. The schemes are not compared, since a proxy that ends TLS hides the one that the browser used; a port absent from
// host is the default one of o's scheme.
func (o Origin) Same(host string) bool {
	if o.Scheme != "http" && o.Scheme != "https" {
		return false
	}
	own, err := parse(o.Scheme, host)
	return err == nil && own == o
}

func cutScheme(s string) (scheme, rest string, err error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !isScheme(scheme) {
		return "", "", errScheme
	}
	scheme = strings.ToLower(scheme)
	if scheme == "ws" || scheme == "wss" {
		return "", "", errScheme
	}
	return scheme, rest, nil
}

func parse(scheme, hostPort string) (Origin, error) {
	host, port, err := parseHost(hostPort)
	if err != nil {
		return Origin{}, err
	}
	if port == 0 {
		port = defaultPort(scheme)
	}
	return Origin{scheme, host, port}, nil
}

func defaultPort(scheme string) uint16 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
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

// parseHost takes host[:port] apart. An absent port is 0.
func parseHost(s string) (host string, port uint16, err error) {
	if s == "" {
		return "", 0, errNoHost
	}
	end := 0
	if s[0] == '[' {
		end = strings.IndexByte(s, ']') + 1
		host, err = parseIPv6(s[:end])
	} else {
		for end < len(s) && (isAlnum(s[end]) || s[end] == '-' || s[end] == '.' || s[end] == '_') {
			end++
		}
		host = strings.ToLower(s[:end])
	}
	rest := s[end:]
	switch {
	case err != nil:
		return "", 0, err
	case host == "" || host[0] == '.' || rest != "" && rest[0] >= utf8.RuneSelf:
		return "", 0, errHost
	case rest == "":
		return host, 0, nil
	case rest[0] != ':':
		return "", 0, errRest
	}
	port, err = parsePort(rest[1:])
	return host, port, err
}

func parseIPv6(s string) (string, error) {
	if s == "" {
		return "", errHost
	}
	address, err := netip.ParseAddr(s[1 : len(s)-1])
	if err != nil || !address.Is6() || address.Zone() != "" {
		return "", errHost
	}
	return "[" + address.String() + "]", nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || s[0] == '0' {
		return 0, errPort
	}
	return uint16(n), nil
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
