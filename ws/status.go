package ws

import "strconv"

// StatusCode is the reason of a close as a number (RFC 6455 7.4).
type StatusCode uint16

// The status codes of the IANA registry (RFC 6455 11.7 and those registered since).
const (
	StatusNormalClosure      StatusCode = 1000 // the purpose of the connection has been fulfilled
	StatusGoingAway          StatusCode = 1001 // a server shuts down, or a browser leaves the page
	StatusProtocolError      StatusCode = 1002
	StatusUnsupportedData    StatusCode = 1003 // a type of data the endpoint cannot accept
	StatusNoStatus           StatusCode = 1005 // never on the wire: the close frame had no code
	StatusAbnormalClosure    StatusCode = 1006 // never on the wire: the connection ended without a close frame
	StatusInvalidPayload     StatusCode = 1007 // not consistent with the type of the message, such as text that is not UTF-8
	StatusPolicyViolation    StatusCode = 1008
	StatusMessageTooBig      StatusCode = 1009
	StatusMandatoryExtension StatusCode = 1010 // the client expected an extension the server did not agree to
	StatusInternalError      StatusCode = 1011
	StatusServiceRestart     StatusCode = 1012
	StatusTryAgainLater      StatusCode = 1013
	StatusBadGateway         StatusCode = 1014
	StatusTLSHandshake       StatusCode = 1015 // never on the wire: the TLS handshake failed
)

var statusNames = map[StatusCode]string{
	StatusNormalClosure:      "normal closure",
	StatusGoingAway:          "going away",
	StatusProtocolError:      "protocol error",
	StatusUnsupportedData:    "unsupported data",
	StatusNoStatus:           "no status",
	StatusAbnormalClosure:    "abnormal closure",
	StatusInvalidPayload:     "invalid payload",
	StatusPolicyViolation:    "policy violation",
	StatusMessageTooBig:      "message too big",
	StatusMandatoryExtension: "mandatory extension",
	StatusInternalError:      "internal error",
	StatusServiceRestart:     "service restart",
	StatusTryAgainLater:      "try again later",
	StatusBadGateway:         "bad gateway",
	StatusTLSHandshake:       "TLS handshake",
}

// String returns the number and, where it has one, the name of the code.
func (c StatusCode) String() string {
	s := strconv.Itoa(int(c))
	if name, ok := statusNames[c]; ok {
		s += " (" + name + ")"
	}
	return s
}

// OnWire reports whether a close frame may carry c: a registered code that is not reserved for local use, or one of
// the ranges for libraries (3000–3999) and applications (4000–4999) (RFC 6455 7.4.1, 7.4.2).
func (c StatusCode) OnWire() bool {
	switch {
	case c >= 3000 && c <= 4999:
		return true
	case c >= StatusNormalClosure && c <= StatusBadGateway:
		return c != 1004 && c != StatusNoStatus && c != StatusAbnormalClosure
	}
	return false
}
