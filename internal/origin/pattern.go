package origin

import "strings"

// Pattern stands for one origin or for several:
//
//   - https://example.com is that origin;
//   - https://*.example.com is every host below example.com, at any depth, but not example.com;
//   - http://localhost:* is every port.
//
// The zero value matches nothing that a page comes from.
type Pattern struct {
	origin  Origin
	below   bool // whatever is below origin.Host
	anyPort bool
}

// ParsePattern takes a pattern apart. A * elsewhere is an error.
func ParsePattern(s string) (Pattern, error) {
	scheme, host, err := cutScheme(s)
	if err != nil {
		return Pattern{}, err
	}
	var p Pattern
	host, p.below = strings.CutPrefix(host, "*.")
	host, p.anyPort = strings.CutSuffix(host, ":*")
	p.origin.Scheme = scheme
	p.origin.Host, p.origin.Port, err = parseHost(host)
	switch {
	case err != nil:
		return Pattern{}, err
	case p.below && isAddress(p.origin.Host):
		return Pattern{}, errAddress
	case p.anyPort && p.origin.Port != 0:
		return Pattern{}, errPort
	case !p.anyPort && p.origin.Port == 0:
		p.origin.Port = defaultPort(scheme)
	}
	return p, nil
}

// Matches tells whether p stands for o.
func (p Pattern) Matches(o Origin) bool {
	if p.anyPort {
		o.Port = p.origin.Port
	}
	if p.below {
		// The label before the dot is not empty: parseHost has seen to it.
		dot := len(o.Host) - len(p.origin.Host) - 1
		if dot <= 0 || o.Host[dot] != '.' {
			return false
		}
		o.Host = o.Host[dot+1:]
	}
	return o == p.origin
}

// isAddress tells an IP address from a name, which alone has hosts below it. Browsers take whatever ends in a number for an
// IPv4 address (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func isAddress(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	return host[0] == '[' || last != "" && strings.Trim(last, "0123456789") == ""
}
