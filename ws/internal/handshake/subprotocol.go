package handshake

import (
	"fmt"
	"net/http"
	"slices"
)

// maxSubprotocols bounds what a client may offer.
const maxSubprotocols = 64

// SelectSubprotocol returns the first of supported, which is in the server's order of preference, that the client
// offers in h, or "" if there is none (RFC 6455 4.2.2). Subprotocols are compared exactly.
//
// The offer is judged even if nothing is supported: one that is malformed or names a subprotocol twice (RFC 6455 4.1)
// is an [*Error] with status 400, one of more than 64 subprotocols with status 431.
func SelectSubprotocol(h http.Header, supported []string) (string, error) {
	lines := h[headerProtocol]
	if len(lines) == 0 {
		return "", nil
	}
	var seen [maxSubprotocols]string
	offered := seen[:0]
	best := len(supported)
	l := list{lines: lines}
	for item, ok := l.next(); ok; item, ok = l.next() {
		switch {
		case len(offered) == maxSubprotocols:
			return "", refuse(http.StatusRequestHeaderFieldsTooLarge, "Sec-WebSocket-Protocol header: more than %d subprotocols", maxSubprotocols)
		case !isToken(item):
			return "", refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol header: %s is not a token", quote(item))
		case slices.Contains(offered, item):
			return "", refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol header: %s twice", quote(item))
		}
		offered = append(offered, item)
		if i := slices.Index(supported[:best], item); i >= 0 {
			best = i
		}
	}
	if len(offered) == 0 {
		return "", refuse(http.StatusBadRequest, "Sec-WebSocket-Protocol header: empty")
	}
	if best == len(supported) {
		return "", nil
	}
	return supported[best], nil
}

// ValidateSubprotocols tells whether names can be offered or supported: each is a token, and none is there twice
// (RFC 6455 4.1).
func ValidateSubprotocols(names []string) error {
	for i, name := range names {
		if !isToken(name) {
			return fmt.Errorf("websocket handshake: subprotocol %s is not a token", quote(name))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("websocket handshake: subprotocol %s is there twice", quote(name))
		}
	}
	return nil
}
