package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// origins decides which pages may use the server. A browser names the origin of a page in the header Origin
// (RFC 6454 section 7); who sends none is not a page of another origin.
type origins struct {
	all     bool
	allowed map[string]bool // in the form of parseOrigin
}

func newOrigins(list []string, dev bool) (*origins, error) {
	o := &origins{allowed: make(map[string]bool)}
	for _, s := range list {
		if s == "*" {
			if !dev {
				return nil, errors.New(`the allowed origin "*" lets every page on the web use this server: name the origins, or set dev on your own machine`)
			}
			o.all = true
			continue
		}
		origin, err := parseOrigin(s)
		if err != nil {
			return nil, fmt.Errorf("allowed origin %q: %w", s, err)
		}
		o.allowed[origin.scheme+"://"+origin.host] = true
	}
	return o, nil
}

// origin is a scheme and a host with its port, where that is not the scheme's own; lower case.
type origin struct {
	scheme, host string
}

func parseOrigin(s string) (origin, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return origin{}, errors.New("it is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return origin{}, errors.New("it must begin with http:// or https://")
	case u.Host == "" || u.Hostname() == "":
		return origin{}, errors.New("it has no host")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return origin{}, errors.New("it must have nothing after the host and port")
	}
	return origin{u.Scheme, normalHost(u.Scheme, u.Host)}, nil
}

func normalHost(scheme, host string) string {
	host = strings.ToLower(host)
	name, port, err := net.SplitHostPort(host)
	switch {
	case err != nil:
		return host
	case port == "" || (scheme == "http" && port == "80") || (scheme == "https" && port == "443"):
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return host
}

// check says whether the page that r comes from may use the server, and whether it is of another origin, so that the
// answer must allow it to read.
func (o *origins) check(r *http.Request) (foreign string, ok bool) {
	values := r.Header["Origin"]
	switch {
	case len(values) == 0:
		return "", true
	case len(values) > 1:
		return "", false
	}
	from, err := parseOrigin(values[0])
	if err == nil && o.same(from, r) {
		return "", true
	}
	if o.all || (err == nil && o.allowed[from.scheme+"://"+from.host]) {
		return values[0], true
	}
	return "", false
}

// same says whether from is the origin that r was sent to. Without TLS its scheme is not known, since a proxy may have
// taken the TLS off.
func (o *origins) same(from origin, r *http.Request) bool {
	if r.TLS != nil && from.scheme != "https" {
		return false
	}
	return from.host == normalHost(from.scheme, r.Host)
}

// allow has the page that r comes from read the answer.
func allow(h http.Header, foreign string) {
	h.Add("Vary", "Origin")
	if foreign == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", foreign)
	h.Set("Access-Control-Expose-Headers", "Baro-Position, Retry-After")
}

// preflight answers a browser that asks what a page may send.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", allowedMethods)
	if r.Header.Get("Access-Control-Request-Method") != "" && h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", allowedMethods)
		h.Set("Access-Control-Allow-Headers", "Content-Type, Last-Event-ID")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
