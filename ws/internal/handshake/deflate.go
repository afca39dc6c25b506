package handshake

import (
	"fmt"
	"strconv"
)

const deflateName = "permessage-deflate"

// Window sizes as base-2 logarithms (RFC 7692 7.1.2).
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// DeflatePolicy says what this side asks and gives in a negotiation of permessage-deflate (RFC 7692 7.1). The zero
// value takes whatever the peer prefers.
type DeflatePolicy struct {
	// NoContextTakeover: this side compresses each message on its own.
	NoContextTakeover bool
	// PeerNoContextTakeover: the peer has to compress each message on its own.
	PeerNoContextTakeover bool
	// MaxWindowBits bounds the window that this side compresses with: 8 to 15, 0 stands for 15.
	MaxWindowBits int
	// PeerMaxWindowBits bounds the window of the peer that this side keeps between messages: 8 to 15, 0 stands for 15.
	PeerMaxWindowBits int
}

// Validate tells whether the window sizes are valid. Those that are not count as the nearest valid one.
func (p *DeflatePolicy) Validate() error {
	for _, bits := range [...]int{p.MaxWindowBits, p.PeerMaxWindowBits} {
		if bits != 0 && bits != windowBits(bits) {
			return fmt.Errorf("websocket handshake: window of %d bits, not %d to %d", bits, minWindowBits, maxWindowBits)
		}
	}
	return nil
}

func windowBits(bits int) int {
	if bits == 0 {
		return maxWindowBits
	}
	return min(max(bits, minWindowBits), maxWindowBits)
}

// Deflate is permessage-deflate as agreed (RFC 7692 7.1). "Server" parameters concern what the server compresses and
// the client inflates.
type Deflate struct {
	ServerNoContextTakeover, ClientNoContextTakeover bool
	ServerMaxWindowBits, ClientMaxWindowBits         int // 8 to 15
}

// deflateParams are the parameters in one offer or response.
type deflateParams struct {
	serverNoContextTakeover, clientNoContextTakeover bool
	serverMaxWindowBits                              int // 0 if absent
	clientMaxWindowBits                              int // 0 if absent or without a value
	clientWindow                                     bool
}

// parseDeflate reads the parameters of permessage-deflate. It returns the first that is unknown, there twice or of a
// value that is valid neither in an offer nor in a response (RFC 7692 7), or nil.
func parseDeflate(params []param) (d deflateParams, invalid *param) {
	for i := range params {
		p := &params[i]
		bits, validBits := 0, false
		if p.hasValue {
			bits, validBits = parseWindowBits(p.value)
		}
		valid := false
		switch p.name {
		case "server_no_context_takeover":
			valid = !p.hasValue && !d.serverNoContextTakeover
			d.serverNoContextTakeover = true
		case "client_no_context_takeover":
			valid = !p.hasValue && !d.clientNoContextTakeover
			d.clientNoContextTakeover = true
		case "server_max_window_bits":
			valid = validBits && d.serverMaxWindowBits == 0
			d.serverMaxWindowBits = bits
		case "client_max_window_bits":
			valid = validBits == p.hasValue && !d.clientWindow
			d.clientMaxWindowBits, d.clientWindow = bits, true
		}
		if !valid {
			return d, p
		}
	}
	return d, nil
}

// parseWindowBits reads a decimal integer from 8 to 15 without leading zeros (RFC 7692 7.1.2.1).
func parseWindowBits(s string) (bits int, ok bool) {
	switch {
	case len(s) == 1 && '8' <= s[0] && s[0] <= '9':
		return int(s[0] - '0'), true
	case len(s) == 2 && s[0] == '1' && '0' <= s[1] && s[1] <= '5':
		return 10 + int(s[1]-'0'), true
	}
	return 0, false
}

// String returns the parameters as the value of a Sec-WebSocket-Extensions header.
func (d deflateParams) String() string {
	if d == (deflateParams{}) {
		return deflateName
	}
	var buf [160]byte
	b := append(buf[:0], deflateName...)
	if d.serverNoContextTakeover {
		b = append(b, "; server_no_context_takeover"...)
	}
	if d.clientNoContextTakeover {
		b = append(b, "; client_no_context_takeover"...)
	}
	if d.serverMaxWindowBits != 0 {
		b = strconv.AppendInt(append(b, "; server_max_window_bits="...), int64(d.serverMaxWindowBits), 10)
	}
	if d.clientWindow {
		b = append(b, "; client_max_window_bits"...)
		if d.clientMaxWindowBits != 0 {
			b = strconv.AppendInt(append(b, '='), int64(d.clientMaxWindowBits), 10)
		}
	}
	return string(b)
}
