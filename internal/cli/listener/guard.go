package listener

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"baro.dev/internal/origin"
)

// A Guard says which requests may come from a browser. Any page that a user visits can open a WebSocket to any address that the
// browser reaches, this machine's own included, and a name that its owner has point to 127.0.0.1 makes that page's origin equal to the
// Host it asks for. So the origin of a page has to be named, or be this server's own under a name that is known to be its own.
//
// Its fields must not be changed once it is in use. Check may be called concurrently.
type Guard struct {
	// Any lets every page in.
	Any bool
	// Allowed are the pages that are let in besides the server's own. Their hosts are names of the server, too: of a proxy before it.
	Allowed []origin.Pattern
	// Local lets the pages of this machine in, at whatever port, to a server on this machine.
	Local bool
	// Names are those of the server, besides addresses, localhost and that of the machine.
	Names []string
	// Loopback is set for a server that can be reached from this machine alone, over TCP: whoever asks it for another name was misled by DNS.
	Loopback bool

	hosts []string // of Allowed, without ports; "*." before those that have hosts below
}

// NewGuard reads the origins that are allowed: as package origin has them, or "*" for all.
func NewGuard(allowed []string) (*Guard, error) {
	g := new(Guard)
	for _, text := range allowed {
		if text == "*" {
			g.Any = true
			continue
		}
		p, err := origin.ParsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("the origin %q: %w", text, err)
		}
		_, host, _ := strings.Cut(text, "://")
		g.Allowed = append(g.Allowed, p)
		g.hosts = append(g.hosts, hostname(strings.TrimSuffix(host, ":*")))
	}
	if name, err := os.Hostname(); err == nil {
		g.Names = append(g.Names, strings.ToLower(name))
	}
	return g, nil
}

// Why a request is refused.
var (
	ErrHost   = errors.New("this server is not known by the name that was asked for; --allow-origin names others")
	ErrOrigin = errors.New("pages of this origin may not connect; --allow-origin names those that may")
)

// Check refuses with ErrHost or ErrOrigin. Requests without an Origin do not come from a page's script, or read what is the page's own.
func (g *Guard) Check(r *http.Request) error {
	if g.Any {
		return nil
	}
	known := g.known(hostname(r.Host))
	if g.Loopback && !known {
		return ErrHost
	}
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return nil
	}
	from, err := origin.Parse(values[0])
	if err != nil || len(values) > 1 {
		return ErrOrigin
	}
	switch {
	case known && from.Same(r.Host),
		g.Local && g.Loopback && loopbackHost(from.Host),
		slices.ContainsFunc(g.Allowed, func(p origin.Pattern) bool { return p.Matches(from) }):
		return nil
	}
	return ErrOrigin
}

// known tells whether host is this server: an address cannot be made to mean another.
func (g *Guard) known(host string) bool {
	if loopbackHost(host) || slices.Contains(g.Names, host) {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return slices.ContainsFunc(g.hosts, func(own string) bool {
		below, ok := strings.CutPrefix(own, "*")
		return host == own || ok && len(host) > len(below) && strings.HasSuffix(host, below)
	})
}

// hostname is a Host header, or the host of an origin, without its port and in small letters.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") && (strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1) {
		host = host[:i]
	}
	return strings.ToLower(host)
}

// Middleware has next answer what Check lets through: others get 403, or 421 if they have asked for another host (RFC 9110 section 15.5.20).
func (g *Guard) Middleware(next http.Handler, refused func(*http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := g.Check(r)
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		status := http.StatusForbidden
		if errors.Is(err, ErrHost) {
			status = http.StatusMisdirectedRequest
		}
		if refused != nil {
			refused(r, err)
		}
		w.Header().Set("Connection", "close")
		http.Error(w, err.Error(), status)
	})
}
