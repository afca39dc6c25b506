package handshake

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
)

// Error is a handshake that was refused.
type Error struct {
	// Status is what a server answers; on the client, what the server answered.
	Status int
	// Header holds what a server's answer has to carry besides, such as Sec-WebSocket-Version or Allow, in the canonical
	// form of net/http. Connection is not in it: [Error.ServeHTTP] knows when it applies. Nil on the client.
	Header http.Header
	// Reason names the header at fault and quotes the offending value, shortened and in printable ASCII: fit for logs,
	// terminals and the peer.
	Reason string
}

// Error returns the reason.
func (e *Error) Error() string { return "websocket handshake: " + e.Reason }

// ServeHTTP answers r with the refusal, the reason as plain text.
//
// Over HTTP/1 it closes the connection: a proxy on the way may believe the upgrade has taken place, and whatever bytes
// follow must not be taken for another request. Over HTTP/2 and HTTP/3 only the stream ends.
func (e *Error) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	maps.Copy(h, e.Header)
	if r.ProtoMajor < 2 {
		// Separate lines: net/http closes only on a first line that reads exactly "close".
		h["Connection"] = []string{"close"}
		if e.Header["Upgrade"] != nil {
			h["Connection"] = []string{"close", "Upgrade"} // RFC 9110 7.8: Upgrade has to be named
		}
	}
	http.Error(w, e.Reason, e.Status)
}

func refuse(status int, format string, args ...any) *Error {
	return &Error{Status: status, Reason: fmt.Sprintf(format, args...)}
}

// upgradeRequired is the answer to who asks for something else than WebSocket version 13 (RFC 9110 15.5.22, RFC 6455 4.4).
func upgradeRequired(format string, args ...any) *Error {
	e := refuse(http.StatusUpgradeRequired, format, args...)
	e.Header = http.Header{"Upgrade": {"websocket"}, headerVersion: {version}}
	return e
}

// maxQuoted bounds how much of a peer's value an error repeats.
const maxQuoted = 64

func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// quoteAll quotes the values of a header that may have come on several lines.
func quoteAll(values []string) string {
	switch len(values) {
	case 0:
		return "absent"
	case 1:
		return quote(values[0])
	default:
		return fmt.Sprintf("%s and %s (%d lines)", quote(values[0]), quote(values[1]), len(values))
	}
}
