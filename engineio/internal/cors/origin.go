package cors

import (
	"slices"

	"baro.dev/internal/origin"
)

// Allowed tells whether a request may be served that has value in its Origin header and host in its Host header: it is
// of the same origin (see [origin.Origin.Same]), or the options allow it. A request without the header, for which value
// is "", comes from no page of another origin, and may.
func (o *Options) Allowed(value, host string) bool {
	return value == "" || sameOrigin(value, host) || o.Enabled() && o.listed(value)
}

func sameOrigin(value, host string) bool {
	from, err := origin.Parse(value)
	return err == nil && from.Same(host)
}

// any tells whether every origin is allowed.
func (o *Options) any() bool { return slices.Contains(o.Origins, "*") }

func (o *Options) listed(value string) bool {
	from, err := origin.Parse(value)
	isOrigin := err == nil
	for _, entry := range o.Origins {
		if entry == "*" || entry == "null" && value == "null" || isOrigin && matches(entry, from) {
			return true
		}
	}
	return o.AllowOrigin != nil && o.AllowOrigin(value)
}

// matches tells whether entry, of [Options.Origins], allows from.
func matches(entry string, from origin.Origin) bool {
	p, err := origin.ParsePattern(entry)
	return err == nil && p.Matches(from)
}

func validateEntry(entry string) error {
	if entry == "*" || entry == "null" {
		return nil
	}
	_, err := origin.ParsePattern(entry)
	return err
}
