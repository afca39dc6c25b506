package connection

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// Frame is a frame of WebSocket as it passed (RFC 6455 5.2).
type Frame struct {
	At     time.Time
	Out    bool // this side has sent it
	Fin    bool
	RSV1   bool // of a compressed message, with permessage-deflate
	RSV2   bool
	RSV3   bool
	Opcode byte
	Masked bool
	Length int64 // of the payload, as the header says; negative: it is not possible
	// Payload is the beginning of the payload, unmasked, at most MaxExcerpt bytes. It is lent until OnFrame returns.
	Payload []byte
}

// MaxExcerpt is how much of the payload of a frame is shown, in bytes.
const MaxExcerpt = 256

// Name returns what the opcode means.
func (f *Frame) Name() string {
	switch f.Opcode {
	case 0:
		return "continuation"
	case 1:
		return "text"
	case 2:
		return "binary"
	case 8:
		return "close"
	case 9:
		return "ping"
	case 10:
		return "pong"
	}
	return "reserved"
}

// FrameReader finds the frames in a stream of bytes that is cut anywhere. It believes what headers say and refuses nothing: what is no
// WebSocket looks like odd frames. It is for one goroutine.
type FrameReader struct {
	// OnFrame is called with each frame, when the excerpt of its payload has come.
	OnFrame func(Frame)

	head    [14]byte
	have    int // bytes in head
	frame   Frame
	key     [4]byte
	rest    uint64 // bytes of the payload that have not come
	excerpt int    // bytes of the excerpt that have not come
	within  bool   // a payload
	payload [MaxExcerpt]byte
}

// Add takes the next bytes. They are the caller's again when it returns.
func (r *FrameReader) Add(p []byte) {
	for len(p) > 0 {
		if r.within {
			p = r.pass(p)
			continue
		}
		r.head[r.have] = p[0]
		r.have++
		p = p[1:]
		if r.have >= 2 && r.have == headerSize(r.head[1]) {
			r.begin()
		}
	}
}

// headerSize is that of a header whose second byte is b.
func headerSize(b byte) int {
	n := 2
	switch b & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a header, which is whole.
func (r *FrameReader) begin() {
	h := r.head[:r.have]
	r.have = 0
	f := Frame{At: time.Now(), Fin: h[0]&0x80 != 0, RSV1: h[0]&0x40 != 0, RSV2: h[0]&0x20 != 0, RSV3: h[0]&0x10 != 0, Opcode: h[0] & 0xf, Masked: h[1]&0x80 != 0}
	r.rest = uint64(h[1] & 0x7f)
	switch r.rest {
	case 126:
		r.rest = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		r.rest = binary.BigEndian.Uint64(h[2:])
	}
	f.Length = int64(r.rest)
	r.key = [4]byte{}
	if f.Masked {
		copy(r.key[:], h[len(h)-4:])
	}
	r.excerpt = int(min(r.rest, MaxExcerpt))
	f.Payload = r.payload[:0]
	r.frame, r.within = f, r.rest > 0
	if r.excerpt == 0 {
		r.OnFrame(f)
	}
}

// pass takes what p has of a payload, and returns what is behind it.
func (r *FrameReader) pass(p []byte) []byte {
	n := int(min(uint64(len(p)), r.rest))
	if r.excerpt > 0 {
		at := len(r.frame.Payload)
		k := min(n, r.excerpt)
		r.frame.Payload = append(r.frame.Payload, p[:k]...)
		for i := at; i < at+k; i++ {
			r.frame.Payload[i] ^= r.key[i&3]
		}
		if r.excerpt -= k; r.excerpt == 0 {
			r.OnFrame(r.frame)
		}
	}
	r.rest -= uint64(n)
	r.within = r.rest > 0
	return p[n:]
}

// String tells a frame on one line: which way, what it is, its bits and length, and the beginning of its payload; what is no text in
// hexadecimal. What the server sent is quoted.
func (f *Frame) String() string {
	b := f.At.UTC().AppendFormat(nil, "15:04:05.000000")
	if f.Out {
		b = append(b, " > "...)
	} else {
		b = append(b, " < "...)
	}
	b = append(b, f.Name()...)
	for _, bit := range []struct {
		set  bool
		name string
	}{{f.Fin, " fin"}, {f.RSV1, " rsv1"}, {f.RSV2, " rsv2"}, {f.RSV3, " rsv3"}, {f.Masked, " masked"}} {
		if bit.set {
			b = append(b, bit.name...)
		}
	}
	b = append(b, " length="...)
	b = strconv.AppendUint(b, uint64(f.Length), 10)
	payload := f.Payload[:min(len(f.Payload), 64)]
	if f.Opcode == 8 && len(payload) >= 2 {
		b = strconv.AppendUint(append(b, " code="...), uint64(binary.BigEndian.Uint16(payload)), 10)
		payload = payload[2:]
	}
	switch {
	case len(payload) == 0:
		return string(b)
	case f.RSV1 || !printable(payload):
		b = hex.AppendEncode(append(b, ' '), payload)
	default:
		b = strconv.AppendQuote(append(b, ' '), string(payload))
	}
	if f.Length > int64(len(f.Payload)) || len(f.Payload) > 64 {
		b = append(b, "..."...)
	}
	return string(b)
}

// printable reports whether p is the beginning of a text without controls.
func printable(p []byte) bool {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(p)
		}
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' {
			return false
		}
		p = p[n:]
	}
	return true
}
