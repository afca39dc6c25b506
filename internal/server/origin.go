package server

import (
	"errors"
	"fmt"
	"net/http"

	"baro.dev/internal/origin"
)

// origins decides which pages may use the server. A browser names the origin of a page in the header Origin
// (RFC 6454 section 7); who sends none is not a page of another origin.
type origins struct {
	all     bool
	allowed map[origin.Origin]bool
}

func newOrigins(list []string, dev bool) (*origins, error) {
	o := &origins{allowed: make(map[origin.Origin]bool)}
	var errs []error
	for _, s := range list {
		if s == "*" {
			if !dev {
				errs = append(errs, errors.New(`the allowed origin "*" lets every page on the web use this server: name the origins, or set dev on your own machine`))
			}
			o.all = true
			continue
		}
		allowed, err := parseEntry(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("allowed origin %q: %w", s, err))
		}
		o.allowed[allowed] = true
	}
	return o, errors.Join(errs...)
}

// parseEntry takes an allowed origin apart, which is one of the web.
func parseEntry(s string) (origin.Origin, error) {
	o, err := origin.Parse(s)
	if err == nil && o.Scheme != "http" && o.Scheme != "https" {
		err = errors.New("it must begin with http:// or https://")
	}
	return o, err
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
	if from, err := origin.Parse(values[0]); err == nil && same(from, r) {
		return "", true
	}
	if o.allow(values[0]) {
		return values[0], true
	}
	return "", false
}

// allow says whether the pages of an origin may use the server, which is another than its own.
func (o *origins) allow(text string) bool {
	from, err := origin.Parse(text)
	return o.all || err == nil && o.allowed[from]
}

// same says whether from is the origin that r was sent to. Without TLS its scheme is not known, since a proxy may have
// taken the TLS off, unless that is trusted, and says so.
func same(from origin.Origin, r *http.Request) bool {
	return (r.TLS == nil && !forwardedOf(r).https || from.Scheme == "https") && from.Same(r.Host)
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
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, Last-Event-ID")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}
