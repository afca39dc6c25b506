// Package utf8stream validates UTF-8 that arrives in pieces.
//
// Text messages and close reasons must be valid UTF-8 (RFC 6455 8.1). A
// message is judged as its bytes come, and refused at the first byte that
// cannot be part of it, not when it is whole.
package utf8stream

import "encoding/binary"

// A Validator judges one stream of bytes. The zero value is ready for use. It
// is not safe for concurrent use, and may be copied: the copy goes on from the
// same place.
type Validator struct {
	state uint8 // a state of the automaton, XOR accept: so zero is accept
}

// Valid consumes p, the next bytes of the stream, and reports whether all bytes
// so far can be the beginning of valid UTF-8 as RFC 3629 defines it. It turns
// false with the first byte that cannot be: an overlong form, a surrogate or a
// code point beyond U+10FFFF is seen at its second byte at the latest. Once
// false it stays false until Reset. p is not retained.
func (v *Validator) Valid(p []byte) bool {
	const nonASCII = 0x8080808080808080
	le, s := binary.LittleEndian, uint64(v.state^accept)
	for len(p) >= 8 {
		w := le.Uint64(p)
		if w&nonASCII == 0 && s&mask == accept {
			p = p[8:]
			for len(p) >= 32 && (le.Uint64(p)|le.Uint64(p[8:])|le.Uint64(p[16:])|le.Uint64(p[24:]))&nonASCII == 0 {
				p = p[32:]
			}
			continue
		}
		s = table[byte(w)] >> (s & mask)
		s = table[byte(w>>8)] >> (s & mask)
		s = table[byte(w>>16)] >> (s & mask)
		s = table[byte(w>>24)] >> (s & mask)
		s = table[byte(w>>32)] >> (s & mask)
		s = table[byte(w>>40)] >> (s & mask)
		s = table[byte(w>>48)] >> (s & mask)
		s = table[byte(w>>56)] >> (s & mask)
		p = p[8:]
	}
	for _, c := range p {
		s = table[c] >> (s & mask)
	}
	v.state = uint8(s&mask) ^ accept
	return s&mask != reject
}

// Complete reports whether the bytes consumed since the start or the last Reset
// are valid and do not end within a character. An empty stream is complete.
func (v *Validator) Complete() bool { return v.state == 0 }

// Reset makes v ready for another stream.
func (v *Validator) Reset() { v.state = 0 }
