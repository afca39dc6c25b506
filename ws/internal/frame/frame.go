// Package frame reads and writes WebSocket frames (RFC 6455 section 5) without doing any I/O.
//
// Parser is a push parser: it takes bytes as they come, cut anywhere, and gives payload back in place.
// Header.Append is the encoder.
package frame

import "encoding/binary"

// Opcode says what a frame carries (RFC 6455 5.2).
type Opcode byte

// The opcodes of RFC 6455 11.8. All others are reserved.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// IsControl reports whether o is the opcode of a control frame (RFC 6455 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

func (o Opcode) String() string {
	switch o {
	case Continuation:
		return "continuation"
	case Text:
		return "text"
	case Binary:
		return "binary"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "reserved opcode 0x" + string("0123456789ABCDEF"[o&0xF])
}

const (
	// MaxHeaderSize is the size of the longest frame header: two bytes, eight of length, four of masking key.
	MaxHeaderSize = 14
	// MaxControlPayload is the longest payload of a control frame (RFC 6455 5.5).
	MaxControlPayload = 125
)

// The bits of the first two bytes of a frame (RFC 6455 5.2).
const (
	bitFin  = 0x80
	bitRSV1 = 0x40
	bitsRSV = 0x70
	bitMask = 0x80

	length16 = 126
	length64 = 127
)

// Header is the header of a frame about to be sent.
type Header struct {
	Opcode Opcode
	Fin    bool
	// Compressed sets RSV1: this is the first frame of a compressed message (RFC 7692 6).
	Compressed bool
	// Masked says that Key follows and that the payload is masked with it: always from a client, never from a server.
	Masked bool
	// Key is the masking key, its four bytes read little-endian.
	Key uint32
	// Length is the size of the payload in bytes.
	Length int
}

// Append appends the encoded header to dst and returns it. The length takes the fewest bytes that hold it.
func (h Header) Append(dst []byte) []byte {
	first := byte(h.Opcode)
	if h.Fin {
		first |= bitFin
	}
	if h.Compressed {
		first |= bitRSV1
	}
	var mask byte
	if h.Masked {
		mask = bitMask
	}
	switch {
	case h.Length < length16:
		dst = append(dst, first, mask|byte(h.Length))
	case h.Length <= 0xFFFF:
		dst = append(dst, first, mask|length16, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, first, mask|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = binary.LittleEndian.AppendUint32(dst, h.Key)
	}
	return dst
}
