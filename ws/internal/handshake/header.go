package handshake

import (
	"fmt"
	"net/http"
	"strings"
)

// ValidateHeader tells whether an application may add h to a request or a response of the handshake: the names are
// tokens, the values hold no control characters (RFC 9110 5.5), and none of them belongs to the handshake or to the
// framing of the message. The error names the header.
func ValidateHeader(h http.Header) error {
	for name, values := range h {
		if !isToken(name) {
			return fmt.Errorf("websocket handshake: header name %s is not a token", quote(name))
		}
		if reserved(http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("websocket handshake: header %s belongs to the handshake and cannot be set", quote(name))
		}
		for _, value := range values {
			if strings.ContainsFunc(value, isControl) {
				return fmt.Errorf("websocket handshake: header %s: %s holds a control character", quote(name), quote(value))
			}
		}
	}
	return nil
}

func reserved(name string) bool {
	switch name {
	case "Connection", "Upgrade", "Keep-Alive", "Proxy-Connection",
		"Content-Length", "Transfer-Encoding", "Te", "Trailer":
		return true
	}
	return strings.HasPrefix(name, "Sec-Websocket-")
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
