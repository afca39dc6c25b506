package handshake

import "net/http"

// AcceptDeflate answers the extensions that a client offers in h (RFC 6455 9.1, RFC 7692 5 and 7.1): it agrees to the
// first offer of permessage-deflate that p can fulfil, and returns what was agreed and the value of the
// Sec-WebSocket-Extensions header to send. Without such an offer, or if p is nil, there is neither.
//
// Offers with parameters that are unknown, there twice or invalid are declined, which is no error. A header that does
// not follow the grammar is an [*Error] with status 400, one beyond 4096 bytes, 32 extensions or 16 parameters of one
// with status 431, even if p is nil.
//
// A client that cannot be bound to p.PeerMaxWindowBits, as it does not offer client_max_window_bits, is asked for
// client_no_context_takeover instead: no more of its window has to be kept between messages in either case.
func AcceptDeflate(h http.Header, p *DeflatePolicy) (agreed *Deflate, response string, err error) {
	s := extensionScanner{lines: h[headerExtensions]}
	for {
		e, ok, bad := s.next()
		if bad != nil {
			return nil, "", bad
		}
		if !ok {
			return agreed, response, nil
		}
		if p == nil || agreed != nil || e.name != deflateName {
			continue
		}
		if offer, invalid := parseDeflate(e.params); invalid == nil {
			agreed, response = p.accept(offer)
		}
	}
}

func (p *DeflatePolicy) accept(offer deflateParams) (*Deflate, string) {
	own, peer := windowBits(p.MaxWindowBits), windowBits(p.PeerMaxWindowBits)
	agreed := &Deflate{
		ServerNoContextTakeover: offer.serverNoContextTakeover || p.NoContextTakeover,
		ClientNoContextTakeover: offer.clientNoContextTakeover || p.PeerNoContextTakeover,
		ServerMaxWindowBits:     min(own, windowBits(offer.serverMaxWindowBits)),
		ClientMaxWindowBits:     maxWindowBits,
	}
	if offer.clientWindow {
		agreed.ClientMaxWindowBits = min(peer, windowBits(offer.clientMaxWindowBits))
	} else if peer < maxWindowBits {
		agreed.ClientNoContextTakeover = true
	}
	response := deflateParams{
		serverNoContextTakeover: agreed.ServerNoContextTakeover,
		clientNoContextTakeover: agreed.ClientNoContextTakeover,
	}
	// RFC 7692 7.1.2.1: an offer with server_max_window_bits is accepted by saying it again, however large.
	if offer.serverMaxWindowBits != 0 || agreed.ServerMaxWindowBits < maxWindowBits {
		response.serverMaxWindowBits = agreed.ServerMaxWindowBits
	}
	// RFC 7692 7.1.2.2: MUST NOT be in the response unless it was in the offer.
	if agreed.ClientMaxWindowBits < maxWindowBits {
		response.clientWindow, response.clientMaxWindowBits = true, agreed.ClientMaxWindowBits
	}
	return agreed, response.String()
}
