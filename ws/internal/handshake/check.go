package handshake

import "net/http"

// Request is a valid request to open a WebSocket.
type Request struct {
	// ExtendedConnect says that the request came over HTTP/2 or HTTP/3 (RFC 8441, RFC 9220): it is answered with 200, and
	// the stream carries the frames. Otherwise it is answered with 101 and the connection carries them.
	ExtendedConnect bool
	// Key is the Sec-WebSocket-Key, empty with ExtendedConnect.
	Key string
}

// Check tells whether r is a valid request to open a WebSocket (RFC 6455 4.2.1, RFC 8441 5, RFC 9220 3). The error is
// an [*Error]:
//
//   - 405 for another method than GET (over HTTP/2 and HTTP/3: CONNECT);
//   - 426 for a GET that does not ask for WebSocket, or for another version than 13;
//   - 501 for an extended CONNECT to another protocol;
//   - 400 for everything else that is wrong.
//
// The origin, the subprotocols and the extensions are not looked at.
func Check(r *http.Request) (Request, error) {
	var err *Error
	extended := r.ProtoMajor >= 2
	if extended {
		err = checkConnect(r)
	} else {
		err = checkUpgrade(r)
	}
	switch {
	case err != nil:
	case r.Host == "":
		err = refuse(http.StatusBadRequest, "Host header: empty")
	case r.ContentLength > 0 || !extended && (r.ContentLength != 0 || len(r.TransferEncoding) > 0):
		err = refuse(http.StatusBadRequest, "the request has a body")
	default:
		err = checkVersion(r.Header[headerVersion], extended)
	}
	if err != nil {
		return Request{}, err
	}
	if extended {
		return Request{ExtendedConnect: true}, nil // RFC 8441 5: no key, whatever was sent
	}
	keys := r.Header[headerKey]
	if len(keys) != 1 || !validKey(keys[0]) { // RFC 6455 11.3.1: MUST NOT appear more than once
		return Request{}, refuse(http.StatusBadRequest, "Sec-WebSocket-Key header: %s, not 16 bytes in base64", quoteAll(keys))
	}
	return Request{Key: keys[0]}, nil
}

func checkUpgrade(r *http.Request) *Error {
	if r.Method != http.MethodGet {
		return notAllowed(r, http.MethodGet)
	}
	if !r.ProtoAtLeast(1, 1) {
		return refuse(http.StatusBadRequest, "%s, older than HTTP/1.1", quote(r.Proto))
	}
	upgrade, connection := r.Header["Upgrade"], r.Header["Connection"]
	switch n := count(upgrade, "websocket"); {
	case n == 0:
		return upgradeRequired("Upgrade header: %s, not websocket", quoteAll(upgrade))
	case n > 1:
		return refuse(http.StatusBadRequest, "Upgrade header: websocket %d times", n)
	case count(connection, "upgrade") == 0:
		return upgradeRequired("Connection header: %s, without the upgrade token", quoteAll(connection))
	}
	return nil
}

func checkConnect(r *http.Request) *Error {
	if r.Method != http.MethodConnect {
		return notAllowed(r, http.MethodConnect)
	}
	// net/http shows the pseudo-header among the headers, quic-go's http3 in the place of the protocol version.
	protocol := r.Proto
	if r.ProtoMajor == 2 {
		protocol = ""
		if values := r.Header[":protocol"]; len(values) == 1 {
			protocol = values[0]
		}
	}
	switch protocol {
	case "websocket":
		return nil
	case "", "HTTP/3.0", "HTTP/3":
		return refuse(http.StatusBadRequest, "CONNECT without a :protocol")
	default:
		return refuse(http.StatusNotImplemented, ":protocol %s, not websocket", quote(protocol)) // RFC 9220 3
	}
}

func checkVersion(values []string, extended bool) *Error {
	if len(values) == 1 && values[0] == version { // RFC 6455 11.3.5: MUST NOT appear more than once
		return nil
	}
	e := upgradeRequired("Sec-WebSocket-Version header: %s, not 13", quoteAll(values))
	if extended { // RFC 9113 8.2.2: no Upgrade header, and a 426 is nothing without one
		e.Status = http.StatusBadRequest
		e.Header.Del("Upgrade")
	}
	return e
}

func notAllowed(r *http.Request, method string) *Error {
	e := refuse(http.StatusMethodNotAllowed, "method %s, not %s", quote(r.Method), method)
	e.Header = http.Header{"Allow": {method}}
	return e
}
