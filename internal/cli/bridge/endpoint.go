package bridge

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"baro.dev/internal/cli/listener"
)

// Endpoint is one end of a bridge.
type Endpoint struct {
	Kind Kind
	Addr string // host:port of TCP, the path of a unix socket, the URL of a WebSocket
}

// Kind is what is spoken at an end.
type Kind string

// The kinds.
const (
	WebSocket Kind = "ws"
	TCP       Kind = "tcp"
	Unix      Kind = "unix"
	Stdio     Kind = "stdio"
)

// ParseEndpoint reads ws://, wss:// and ws+unix:// URLs, tcp://host:port, unix:///path, and stdio or -.
func ParseEndpoint(s string) (Endpoint, error) {
	if s == "stdio" || s == "-" || s == "stdio:" {
		return Endpoint{Stdio, ""}, nil
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Endpoint{}, fmt.Errorf("%q must begin with ws://, wss://, tcp:// or unix://, or be stdio", s)
	}
	switch strings.ToLower(scheme) {
	case "ws", "wss", "ws+unix":
		return Endpoint{WebSocket, s}, nil
	case "tcp":
		a, err := listener.ParseAddress(strings.TrimSuffix(rest, "/"))
		if err != nil || a.Network != "tcp" || !strings.Contains(rest, ":") {
			return Endpoint{}, fmt.Errorf("%q must be tcp://HOST:PORT", s)
		}
		return Endpoint{TCP, a.Addr}, nil
	case "unix":
		if rest == "" {
			return Endpoint{}, fmt.Errorf("%q must be unix:///PATH", s)
		}
		return Endpoint{Unix, rest}, nil
	}
	return Endpoint{}, fmt.Errorf("%q: nothing is known of the scheme %q", s, scheme)
}

// String is what ParseEndpoint reads, without the secrets that a URL may have.
func (e Endpoint) String() string {
	switch e.Kind {
	case TCP, Unix:
		return string(e.Kind) + "://" + e.Addr
	case WebSocket:
		u, err := url.Parse(e.Addr)
		if err != nil {
			return "ws://…"
		}
		if u.RawQuery != "" {
			u.RawQuery = "…"
		}
		return u.Redacted()
	}
	return string(e.Kind)
}

// front is where an end listens that speaks WebSocket: the address, the path, and whether it is to have TLS.
func (e Endpoint) front() (a listener.Address, at string, secure bool, err error) {
	u, err := url.Parse(e.Addr)
	if err != nil {
		return a, "", false, fmt.Errorf("%s is no URL", e)
	}
	if u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return a, "", false, fmt.Errorf("%s: where to listen is a host, a port and a path", e)
	}
	if strings.EqualFold(u.Scheme, "ws+unix") {
		socket, at, _ := strings.Cut(u.Path, ":")
		if socket == "" {
			return a, "", false, fmt.Errorf("%s must be ws+unix:///SOCKET:/PATH", e)
		}
		return listener.Address{Network: "unix", Addr: socket}, path.Clean("/" + at), false, nil
	}
	secure = strings.EqualFold(u.Scheme, "wss")
	host := u.Host
	if u.Port() == "" {
		host = strings.TrimSuffix(host, ":") + map[bool]string{false: ":80", true: ":443"}[secure]
	}
	a, err = listener.ParseAddress(host)
	return a, path.Clean("/" + u.Path), secure, err
}
