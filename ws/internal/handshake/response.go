package handshake

import (
	"fmt"
	"net/http"
)

// AppendResponse appends the answer that opens a WebSocket over HTTP/1.1 (RFC 6455 4.2.2) to dst: to the key of
// [Check], with the subprotocol of [SelectSubprotocol] and the extensions of [AcceptDeflate], none where empty, and the
// application's headers, which [ValidateHeader] has to approve. After an error nothing may be sent of what is returned.
func AppendResponse(dst []byte, key, subprotocol, extensions string, header http.Header) ([]byte, error) {
	if subprotocol != "" && !isToken(subprotocol) {
		return dst, fmt.Errorf("websocket handshake: subprotocol %s is not a token", quote(subprotocol))
	}
	if err := ValidateHeader(header); err != nil {
		return dst, err
	}
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAccept(dst, key)
	dst = append(dst, "\r\n"...)
	if subprotocol != "" {
		dst = appendField(dst, "Sec-WebSocket-Protocol", subprotocol)
	}
	if extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", extensions)
	}
	for name, values := range header {
		for _, value := range values {
			dst = appendField(dst, name, value)
		}
	}
	return append(dst, "\r\n"...), nil
}

// AppendHeader adds the fields of header to a response, save those that ValidateHeader refuses.
func AppendHeader(response []byte, header http.Header) []byte {
	if len(header) == 0 {
		return response
	}
	response = response[:len(response)-len("\r\n")]
	for name, values := range header {
		if ValidateHeader(http.Header{name: values}) != nil {
			continue
		}
		for _, value := range values {
			response = appendField(response, name, value)
		}
	}
	return append(response, "\r\n"...)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}
