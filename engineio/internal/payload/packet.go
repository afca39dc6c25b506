// Package payload reads and writes the packets of Engine.IO, alone as WebSocket messages and together as the payloads of
// HTTP long polling, in protocols 3 and 4 (https://socket.io/docs/v4/engine-io-protocol/).
//
// A session has one [Format] for its whole life. What is encoded is appended to the caller's buffer; what is decoded is
// lent out of the body it came in, base64 being decoded in place. Nothing is kept, and everything but a body that is
// being decoded may be used concurrently.
package payload

import "strconv"

// Type says what a packet is for.
type Type byte

// The types of packets, by their numbers on the wire.
const (
	Open Type = iota
	Close
	Ping
	Pong
	Message
	Upgrade
	Noop

	types // how many there are
)

func (t Type) String() string {
	if t < types {
		return [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}[t]
	}
	return "packet type " + strconv.Itoa(int(t))
}

// digit is t in a packet that is text.
func (t Type) digit() byte { return '0' + byte(t) }

// Packet is one packet.
type Packet struct {
	Type Type
	// Binary says that Data is bytes, not text. Only messages may be binary: the Type of a binary packet is taken for
	// Message, whatever it is.
	Binary bool
	// Data is what follows the type. Text has to be valid UTF-8: receivers close a WebSocket for anything else
	// (RFC 6455 8.1), and the lengths in payloads of protocol 3 count its characters. The encoders do not check it, the
	// decoders do.
	Data []byte
}

// Format is how the packets of a session look: its protocol, and whether binary has to be base64.
type Format byte

// The formats. Payloads of protocol 4 are text, and so V4 and V4Base64 differ in WebSocket messages only.
const (
	V4 Format = iota
	V4Base64
	V3
	V3Base64
)

// FormatOf returns the format of a session by what its client asked for: the protocol, 3 or 4 (EIO in the query), and
// whether binary has to be base64 (b64 in the query; always so where payloads go by JSONP, which is text).
func FormatOf(protocol int, base64 bool) Format {
	f := V4
	if protocol == 3 {
		f = V3
	}
	if base64 {
		f++
	}
	return f
}

func (f Format) String() string {
	if f <= V3Base64 {
		return [...]string{"protocol 4", "protocol 4 with base64", "protocol 3", "protocol 3 with base64"}[f]
	}
	return "format " + strconv.Itoa(int(f))
}

// Protocol returns 3 or 4.
func (f Format) Protocol() int {
	if f >= V3 {
		return 3
	}
	return 4
}

// takesBinary says whether binary may go as it is wherever there is a place for it.
func (f Format) takesBinary() bool { return f == V4 || f == V3 }
