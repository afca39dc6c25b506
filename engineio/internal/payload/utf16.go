package payload

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"baro.dev/internal/utf8stream"
)

// Protocol 3 measures text as JavaScript does: in UTF-16 code units, of which a character beyond U+FFFF takes two. Of the
// bytes of a character in UTF-8, only the first counts, twice if it begins four of them.

// units returns the length of text.
func units(text []byte) int {
	n := 0
	for ; len(text) >= 8; text = text[8:] {
		n += unitsOf8(text)
	}
	for _, c := range text {
		n += unitsOf(c)
	}
	return n
}

// unitsOf8 adds up what the first eight bytes of text count.
func unitsOf8(text []byte) int {
	const ones = 0x0101010101010101 // the lowest bit of each byte
	w := binary.LittleEndian.Uint64(text)
	if w&(ones<<7) == 0 {
		return 8
	}
	twice := w >> 7 & (w >> 6) & (w >> 5) & (w >> 4) & ones // 1111....
	none := w >> 7 &^ (w >> 6) & ones                       // 10......
	return 8 + bits.OnesCount64(twice) - bits.OnesCount64(none)
}

func unitsOf(c byte) int {
	switch {
	case c >= 0xF0:
		return 2
	case utf8.RuneStart(c):
		return 1
	}
	return 0
}

// prefix returns how many bytes of text its first n units are. If text is shorter, missing is how many units more there
// would have to be; it is negative where the n units end within a character, and otherwise 0.
func prefix(text []byte, n int) (size, missing int) {
	for len(text)-size >= 8 {
		u := unitsOf8(text[size:])
		if u > n {
			break
		}
		n, size = n-u, size+8
	}
	for n > 0 && size < len(text) {
		n -= unitsOf(text[size])
		size++
	}
	for size < len(text) && !utf8.RuneStart(text[size]) {
		size++
	}
	return size, n
}

// validUTF8 returns where the text ceases to be valid, or -1.
func validUTF8(text []byte) int {
	var v utf8stream.Validator
	if v.Valid(text) && v.Complete() {
		return -1
	}
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}
