package realip

import (
	"slices"
	"strings"
)

// hop is what a proxy says of whom it got the request from.
type hop struct {
	node, proto, host string
}

// forwardedFor goes through the values of X-Forwarded-For, from the last to the first.
func forwardedFor(values []string) func(yield func(hop) bool) {
	return func(yield func(hop) bool) {
		for _, v := range slices.Backward(values) {
			for more := true; more; {
				i := strings.LastIndexByte(v, ',')
				more = i >= 0
				if !yield(hop{node: strings.TrimSpace(v[i+1:])}) {
					return
				}
				v = v[:max(i, 0)]
			}
		}
	}
}

// forwarded goes through the elements of the fields Forwarded (RFC 7239 section 4), from the last to the first. A field that is
// malformed is one hop of which nothing is known: a client can have begun it, and a proxy have gone on.
func forwarded(values []string) func(yield func(hop) bool) {
	return func(yield func(hop) bool) {
		for _, v := range slices.Backward(values) {
			hops, ok := elements(v)
			if !ok {
				yield(hop{})
				return
			}
			for _, h := range slices.Backward(hops) {
				if !yield(h) {
					return
				}
			}
		}
	}
}

// elements takes one field apart.
func elements(s string) (hops []hop, ok bool) {
	var h hop
	some := false // of h there is a parameter
	for {
		s = strings.TrimLeft(s, " \t")
		switch {
		case s == "" || s[0] == ',':
			if some {
				hops = append(hops, h)
			}
			if h, some = (hop{}), false; s == "" {
				return hops, true
			}
			s = s[1:]
			continue
		case s[0] == ';':
			s = s[1:]
			continue
		}
		name, rest := token(s)
		if name == "" || rest == "" || rest[0] != '=' {
			return nil, false
		}
		value, rest, ok := value(rest[1:])
		if !ok {
			return nil, false
		}
		some = true
		switch strings.ToLower(name) {
		case "for":
			h.node = value
		case "proto":
			h.proto = value
		case "host":
			h.host = value
		}
		if s = strings.TrimLeft(rest, " \t"); s != "" && s[0] != ',' && s[0] != ';' {
			return nil, false
		}
	}
}

// token takes a token off (RFC 9110 section 5.6.2).
func token(s string) (t, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:]
}

// value takes a token or a quoted string off. What should have been quoted, as addresses with ports by some proxies, is taken, too.
func value(s string) (v, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		i := strings.IndexAny(s, ";, \t\"")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], i > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
