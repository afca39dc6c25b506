package handshake

import "net/http"

// OfferDeflate returns the offer of a client with policy p, as the value of a Sec-WebSocket-Extensions header. It
// always says that the server may bound the client's window (RFC 7692 7.1.2.2).
func OfferDeflate(p DeflatePolicy) string { return p.offer().String() }

func (p *DeflatePolicy) offer() deflateParams {
	offer := deflateParams{
		serverNoContextTakeover: p.PeerNoContextTakeover,
		clientNoContextTakeover: p.NoContextTakeover,
		clientWindow:            true,
	}
	if bits := windowBits(p.PeerMaxWindowBits); bits < maxWindowBits {
		offer.serverMaxWindowBits = bits
	}
	if bits := windowBits(p.MaxWindowBits); bits < maxWindowBits {
		offer.clientMaxWindowBits = bits
	}
	return offer
}

// checkExtensions judges the extensions that a server answered with to what p offered, nil being nothing.
func checkExtensions(h http.Header, p *DeflatePolicy) (agreed *Deflate, err *Error) {
	s := extensionScanner{lines: h[headerExtensions]}
	for {
		e, ok, bad := s.next()
		switch {
		case bad != nil:
			return nil, bad
		case !ok:
			return agreed, nil
		case p == nil || e.name != deflateName: // RFC 6455 4.1: MUST fail
			return nil, refuse(0, "Sec-WebSocket-Extensions header: %s was not offered", quote(e.name))
		case agreed != nil:
			return nil, refuse(0, "Sec-WebSocket-Extensions header: %s twice", quote(e.name))
		}
		if agreed, bad = p.agree(e.params); bad != nil {
			return nil, bad
		}
	}
}

// agree judges a server's response to p's offer. RFC 7692 7: a client MUST fail the connection if a parameter is not
// defined for a response, of an invalid value or there twice, or if the client cannot do what was agreed.
func (p *DeflatePolicy) agree(params []param) (*Deflate, *Error) {
	response, invalid := parseDeflate(params)
	if invalid == nil && response.clientWindow && response.clientMaxWindowBits == 0 {
		invalid = &param{name: "client_max_window_bits"} // its value is optional in an offer only
	}
	if invalid != nil {
		return nil, refuse(0, "Sec-WebSocket-Extensions header: permessage-deflate with invalid parameter %s=%s",
			quote(invalid.name), quote(invalid.value))
	}
	own, peer := windowBits(p.MaxWindowBits), windowBits(p.PeerMaxWindowBits)
	agreed := &Deflate{
		ServerNoContextTakeover: response.serverNoContextTakeover,
		ClientNoContextTakeover: response.clientNoContextTakeover || p.NoContextTakeover,
		ServerMaxWindowBits:     windowBits(response.serverMaxWindowBits),
		ClientMaxWindowBits:     min(own, windowBits(response.clientMaxWindowBits)),
	}
	switch {
	case p.PeerNoContextTakeover && !agreed.ServerNoContextTakeover:
		return nil, refuse(0, "Sec-WebSocket-Extensions header: server_no_context_takeover was asked and not granted")
	case agreed.ServerMaxWindowBits > peer && (response.serverMaxWindowBits != 0 || !agreed.ServerNoContextTakeover):
		// A server that has not looked at the size, as gorilla/websocket, is borne with if it keeps no context: nothing
		// is held between messages then, whatever the size.
		return nil, refuse(0, "Sec-WebSocket-Extensions header: server_max_window_bits=%d was asked, %d granted",
			peer, agreed.ServerMaxWindowBits)
	case response.clientMaxWindowBits > own:
		return nil, refuse(0, "Sec-WebSocket-Extensions header: client_max_window_bits=%d was offered, %d answered",
			own, response.clientMaxWindowBits)
	}
	return agreed, nil
}
