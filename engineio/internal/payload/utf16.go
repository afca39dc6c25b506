package payload

import (
	"encoding/binary"
	"unicode/utf8"

	"baro.dev/internal/utf8stream"
)

// Protocol 3 measures text as JavaScript does: in UTF-16 code units, of which a character beyond U+FFFF takes two. Of the
// bytes of a character in UTF-8, only the first counts, twice if it begins four of them.

const nonASCII = 0x8080808080808080

// units returns the length of text.
func units(text []byte) int {
	n := 0
	for len(text) > 0 {
		if len(text) >= 8 && binary.LittleEndian.Uint64(text)&nonASCII == 0 {
			n, text = n+8, text[8:]
			continue
		}
		k := min(8, len(text))
		for _, c := range text[:k] {
			n += unitsOf(c)
		}
		text = text[k:]
	}
	return n
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
	for n > 0 && size < len(text) {
		if n >= 8 && len(text)-size >= 8 && binary.LittleEndian.Uint64(text[size:])&nonASCII == 0 {
			n, size = n-8, size+8
			continue
		}
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
