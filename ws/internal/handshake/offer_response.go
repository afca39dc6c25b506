package handshake

import (
	"net/http"
	"slices"
)

// CheckResponse judges a server's answer to the request that o built (RFC 6455 4.1): it returns the subprotocol, ""
// if there is none, and permessage-deflate as agreed, nil if it is not. The error is an [*Error] with the status of the
// answer; the connection then has to be closed.
//
// Redirects and demands for authentication are errors too: whoever follows them does so before.
func (o *Offer) CheckResponse(resp *http.Response) (subprotocol string, agreed *Deflate, err error) {
	bad := o.checkStatus(resp)
	if bad == nil {
		subprotocol, bad = o.checkSubprotocol(resp.Header[headerProtocol])
	}
	if bad == nil {
		agreed, bad = checkExtensions(resp.Header, o.Deflate)
	}
	if bad != nil {
		bad.Status, bad.Header = resp.StatusCode, nil
		return "", nil, bad
	}
	return subprotocol, agreed, nil
}

func (o *Offer) checkStatus(resp *http.Response) *Error {
	if o.HTTP >= 2 {
		if resp.ProtoMajor != o.HTTP || resp.StatusCode/100 != 2 {
			return refuse(0, "the server answered %s %s", quote(resp.Proto), quote(resp.Status))
		}
		return nil
	}
	h := resp.Header
	switch {
	case resp.ProtoMajor != 1 || resp.ProtoMinor < 1:
		return refuse(0, "the server answered in %s, not HTTP/1.1", quote(resp.Proto))
	case resp.StatusCode == http.StatusUpgradeRequired && h[headerVersion] != nil:
		return refuse(0, "the server answered %s, for Sec-WebSocket-Version %s", quote(resp.Status), quoteAll(h[headerVersion]))
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return refuse(0, "the server answered %s, not 101", quote(resp.Status))
	case len(h["Upgrade"]) != 1 || !equalFold(h["Upgrade"][0], "websocket"):
		return refuse(0, "Upgrade header: %s, not websocket", quoteAll(h["Upgrade"]))
	case count(h["Connection"], "upgrade") == 0:
		return refuse(0, "Connection header: %s, without the upgrade token", quoteAll(h["Connection"]))
	}
	// RFC 6455 11.3.3: MUST NOT appear more than once.
	if accept := h[headerAccept]; len(accept) != 1 || accept[0] != AcceptKey(o.Key) {
		return refuse(0, "Sec-WebSocket-Accept header: %s does not answer the key", quoteAll(accept))
	}
	return nil
}

// checkSubprotocol holds RFC 6455 4.1: a subprotocol that was not asked for MUST fail; and 11.3.4: the header MUST NOT
// appear more than once in a response.
func (o *Offer) checkSubprotocol(values []string) (string, *Error) {
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || !slices.Contains(o.Subprotocols, values[0]):
		return "", refuse(0, "Sec-WebSocket-Protocol header: %s was not asked for", quoteAll(values))
	}
	return values[0], nil
}
