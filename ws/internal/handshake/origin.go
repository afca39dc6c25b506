package handshake

import (
	"net/http"

	"baro.dev/internal/origin"
)

// CheckOrigin tells whether the page that a request comes from may open a WebSocket here (RFC 6455 4.2.2 and 10.2). The
// error is an [*Error] with status 403.
//
// A request without an Origin header comes from no browser and is allowed. If nothing is listed in allowed, the page has
// to be of the same origin as the Host header says, see [origin.Origin.Same].
//
// A list replaces that rule, so that a server may name all its pages (and be safe from names that an attacker points at
// it). An entry is an origin, scheme://host[:port], and allows exactly that one; or null, which sandboxed documents
// send; or file://, which some embedded browsers send. "*" on its own allows every origin. Malformed entries allow
// nothing.
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

func sameOrigin(value, host string) bool {
	from, err := origin.Parse(value)
	return err == nil && from.Same(host)
}

func listedOrigin(value string, allowed []string) bool {
	from, err := origin.Parse(value)
	isOrigin := err == nil
	for _, entry := range allowed {
		if (entry == "null" || entry == "file://") && entry == value {
			return true
		}
		if listed, err := origin.Parse(entry); err == nil && isOrigin && listed == from {
			return true
		}
	}
	return false
}
