// Package httpcompress compresses whole bodies of HTTP answers, which are at hand, with what the client accepts.
package httpcompress

import "strings"

// Encoding is a content coding (RFC 9110 8.4.1).
type Encoding byte

// The codings, the better ones last.
const (
	Identity Encoding = iota // none
	Deflate                  // the zlib format (RFC 1950)
	Gzip                     // RFC 1952
)

// String returns what Content-Encoding says, except for Identity, for which there is to be none.
func (e Encoding) String() string {
	switch e {
	case Gzip:
		return "gzip"
	case Deflate:
		return "deflate"
	}
	return "identity"
}

const (
	best   = 1000 // the weight 1: weights are counted in thousandths
	absent = -1
)

// Negotiate returns the coding for a client that sent these Accept-Encoding headers (RFC 9110 12.5.3): the one of the
// greatest weight, and of equal ones gzip. That is Identity if there is no such header, if all else is refused, or if the
// client names identity with a greater weight.
func Negotiate(accept []string) Encoding {
	weights := [...]int{absent, absent, absent}
	others := absent
	for _, line := range accept {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			coding, parameters, _ := strings.Cut(item, ";")
			w := weight(parameters)
			switch coding = trim(coding); {
			case coding == "*":
				others = max(others, w)
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"): // RFC 9110 8.4.1.3
				weights[Gzip] = max(weights[Gzip], w)
			case strings.EqualFold(coding, "deflate"):
				weights[Deflate] = max(weights[Deflate], w)
			case strings.EqualFold(coding, "identity"):
				weights[Identity] = max(weights[Identity], w)
			}
		}
	}
	chosen, most := Identity, max(weights[Identity], 0)
	for _, e := range []Encoding{Gzip, Deflate} {
		w := weights[e]
		if w == absent {
			w = others
		}
		if w > most || w == most && w > 0 && chosen == Identity {
			chosen, most = e, w
		}
	}
	return chosen
}

// weight reads the parameter q, without which the weight is 1. What is malformed is of no weight.
func weight(parameters string) int {
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		if name, value, found := strings.Cut(trim(p), "="); found && strings.EqualFold(trim(name), "q") {
			return thousandths(trim(value))
		}
	}
	return best
}

// thousandths reads 0 to 1 with up to three decimal places (RFC 9110 12.4.2).
func thousandths(s string) int {
	if s == "" || len(s) > len("0.000") || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0
	}
	n, unit := int(s[0]-'0')*best, best
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0
		}
		unit /= 10
		n += int(s[i]-'0') * unit
	}
	if n > best {
		return 0
	}
	return n
}

func trim(s string) string { return strings.Trim(s, " \t") }
