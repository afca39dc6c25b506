package deflate

import (
	"encoding/binary"
	"math/bits"
)

// Block headers, not final, and the end of a block in fixed codes (RFC 1951 3.2.3, 3.2.6).
const (
	storedBlock = 0b00 << 1
	fixedBlock  = 0b01 << 1
	fixedEnd    = 0
)

// A bitWriter appends bits to dst, lowest first (RFC 1951 3.1.1), and symbols in the fixed codes.
type bitWriter struct {
	dst   []byte
	bits  uint64
	nbits uint
}

// put appends the n lowest bits of v, at most 32, the others being zero.
func (w *bitWriter) put(v uint32, n uint) {
	w.bits |= uint64(v) << w.nbits
	w.nbits += n
	if w.nbits >= 32 {
		w.dst = binary.LittleEndian.AppendUint32(w.dst, uint32(w.bits))
		w.bits >>= 32
		w.nbits -= 32
	}
}

// flush fills the last byte with zeros and returns the result.
func (w *bitWriter) flush() []byte {
	for n := uint(0); n < w.nbits; n += 8 {
		w.dst = append(w.dst, byte(w.bits>>n))
	}
	return w.dst
}

func (w *bitWriter) literal(b byte) {
	c := fixedLiterals[b]
	w.put(uint32(c.bits), c.length)
}

// match appends a match of n bytes, 3 to 258, from dist bytes back.
func (w *bitWriter) match(n, dist int) {
	symbol := lengthSymbols[n-3]
	c, meaning := fixedLiterals[symbol], literalMeanings[symbol]
	w.put(uint32(c.bits)|uint32(n-meaning.value())<<c.length, c.length+meaning.extra())

	// Two distance codes share a number of extra bits, beginning with 0 bits for the distances 1 to 4.
	d := uint(dist - 1)
	code, extra := d, uint(0)
	if d >= 4 {
		extra = uint(bits.Len(d)) - 2
		code = 2*extra + d>>extra
	}
	w.put(uint32(bits.Reverse8(uint8(code))>>3)|uint32(d&(1<<extra-1))<<5, 5+extra)
}

// A fixedCode is a code of RFC 1951 3.2.6, its bits in the order they are sent.
type fixedCode struct {
	bits   uint16
	length uint
}

var (
	fixedLiterals = makeFixedLiterals()
	lengthSymbols = makeLengthSymbols()
)

func makeFixedLiterals() (codes [numLiterals]fixedCode) {
	for s := range codes {
		c, n := 0xc0+s-280, uint(8)
		switch {
		case s < 144:
			c = 0x30 + s
		case s < 256:
			c, n = 0x190+s-144, 9
		case s < 280:
			c, n = s-256, 7
		}
		codes[s] = fixedCode{bits.Reverse16(uint16(c)) >> (16 - n), n}
	}
	return codes
}

// makeLengthSymbols says which symbol stands for a match of 3 bytes and more.
func makeLengthSymbols() (symbols [longestMatch - 2]uint16) {
	for s := endOfBlock + 1; s < numLiterals; s++ {
		m := literalMeanings[s]
		for n := m.value(); n < m.value()+1<<m.extra() && n <= longestMatch; n++ {
			symbols[n-3] = uint16(s)
		}
	}
	return symbols
}
