package terminal

import (
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// invisible are the characters that are no controls of ECMA-48 and yet deceive whoever reads: they turn the direction of
// what follows (UAX #9, "Trojan Source"), break a line where no newline is, or cannot be seen at all. The two joiners,
// U+200C and U+200D, are not among them: Persian and emoji are written with them.
var invisible = &unicode.RangeTable{
	LatinOffset: 1,
	R16: []unicode.Range16{
		{Lo: 0x00AD, Hi: 0x00AD, Stride: 1}, // soft hyphen
		{Lo: 0x061C, Hi: 0x061C, Stride: 1}, // Arabic letter mark
		{Lo: 0x180E, Hi: 0x180E, Stride: 1}, // Mongolian vowel separator
		{Lo: 0x200B, Hi: 0x200B, Stride: 1}, // zero width space
		{Lo: 0x200E, Hi: 0x200F, Stride: 1}, // direction marks
		{Lo: 0x2028, Hi: 0x202E, Stride: 1}, // line and paragraph separators, embeddings and overrides
		{Lo: 0x2060, Hi: 0x206F, Stride: 1}, // word joiner, invisible operators, isolates
		{Lo: 0xFEFF, Hi: 0xFEFF, Stride: 1}, // byte order mark
		{Lo: 0xFFF9, Hi: 0xFFFB, Stride: 1}, // interlinear annotations
	},
	R32: []unicode.Range32{
		{Lo: 0xE0000, Hi: 0xE007F, Stride: 1}, // tags
	},
}

// Safe appends to dst what of src may be shown on a terminal, and returns the longer slice. Text stays as it is, with its
// newlines and tabs. Everything that could command a terminal or deceive a reader becomes visible: C0 and DEL as \x1b, C1
// and characters that turn or hide text as \u009b, \u202e or \U000e0001, a byte that is not UTF-8 as \xff.
// A backslash stays a backslash, so the output cannot be turned back into src.
//
// src is taken as a whole: what is cut in the middle of a character shows the bytes of that character.
func Safe(dst, src []byte) []byte {
	return appendSafe(dst, src, false)
}

// SafeLine is Safe for what has to stay on one line, as the reason of a close or the text of an error: a newline becomes
// \n, a tab \t, a carriage return \r.
func SafeLine(s string) string {
	return string(appendSafe(make([]byte, 0, len(s)), []byte(s), true))
}

func appendSafe(dst, src []byte, line bool) []byte {
	for len(src) > 0 {
		n := 0
		for n < len(src) && harmless(src[n]) {
			n++
		}
		dst, src = append(dst, src[:n]...), src[n:]
		if len(src) == 0 {
			break
		}
		r, size := utf8.DecodeRune(src)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, '\\', 'x', hexDigits[src[0]>>4], hexDigits[src[0]&15])
		case r == '\n' || r == '\t' || line && r == '\r':
			if line {
				dst = append(dst, '\\', map[rune]byte{'\n': 'n', '\t': 't', '\r': 'r'}[r])
			} else {
				dst = append(dst, src[0])
			}
		case r < utf8.RuneSelf:
			dst = append(dst, '\\', 'x', hexDigits[r>>4], hexDigits[r&15])
		case unicode.IsControl(r), unicode.Is(invisible, r):
			dst = appendEscaped(dst, r)
		default:
			dst = append(dst, src[:size]...)
		}
		src = src[size:]
	}
	return dst
}

// harmless says whether a byte is a printable character of ASCII.
func harmless(b byte) bool { return b >= ' ' && b < 0x7f }

// appendEscaped appends r as \u202e or \U000e0001.
func appendEscaped(dst []byte, r rune) []byte {
	letter, shift := byte('u'), 12
	if r > 0xFFFF {
		letter, shift = 'U', 28
	}
	dst = append(dst, '\\', letter)
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[r>>shift&15])
	}
	return dst
}
