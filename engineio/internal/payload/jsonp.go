package payload

import (
	"strconv"
	"unicode/utf8"
)

// ParseIndex reads the number of a client's JSONP callback (j in the query). Anything but at most 18 digits is refused: it
// would end up in a script.
func ParseIndex(j string) (index uint64, ok bool) {
	if len(j) > 18 {
		return 0, false
	}
	index, err := strconv.ParseUint(j, 10, 64)
	return index, err == nil
}

// AppendJSONP appends the script that hands a payload that is text to the client's callback, to dst, and returns it.
//
// The string in it is valid both as JSON and in JavaScript of any age, in which U+2028 and U+2029 end a line. It has no <
// or >, so that nobody can take it for HTML, whatever the messages are. (The answer cannot have X-Content-Type-Options:
// nosniff to that end, unless its content type is text/javascript: browsers would not run it.) What is not UTF-8 becomes
// U+FFFD.
func AppendJSONP(dst []byte, index uint64, payload []byte) []byte {
	dst = append(dst, "___eio["...)
	dst = strconv.AppendUint(dst, index, 10)
	dst = append(dst, "]("...)
	dst = appendQuoted(dst, payload)
	return append(dst, ");"...)
}

// appendQuoted appends text as a JSON string.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	done := 0 // what is before it has been appended
	for i := 0; i < len(text); {
		c, size := text[i], 1
		if c < utf8.RuneSelf {
			if escapes[c] == 0 {
				i++
				continue
			}
		} else {
			var r rune
			if r, size = utf8.DecodeRune(text[i:]); r != '\u2028' && r != '\u2029' && !(r == utf8.RuneError && size == 1) {
				i += size
				continue
			}
		}
		dst = append(dst, text[done:i]...)
		dst = appendEscape(dst, text[i:i+size])
		i += size
		done = i
	}
	dst = append(dst, text[done:]...)
	return append(dst, '"')
}

// escapes holds what follows the backslash for the ASCII characters that cannot stand for themselves.
var escapes = func() (e [utf8.RuneSelf]byte) {
	for c := range byte(' ') {
		e[c] = 'u'
	}
	e['\b'], e['\f'], e['\n'], e['\r'], e['\t'] = 'b', 'f', 'n', 'r', 't'
	e['"'], e['\\'] = '"', '\\'
	e['<'], e['>'] = 'u', 'u'
	return e
}()

func appendEscape(dst, character []byte) []byte {
	const hex = "0123456789abcdef"
	switch c := character[0]; {
	case len(character) > 1:
		return append(dst, `\u202`+string(hex[character[2]&0xF])...) // E2 80 A8 or E2 80 A9
	case c >= utf8.RuneSelf:
		return append(dst, `\ufffd`...)
	case escapes[c] == 'u':
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xF])
	default:
		return append(dst, '\\', escapes[c])
	}
}
