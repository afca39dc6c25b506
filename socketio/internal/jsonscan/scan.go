// Package jsonscan finds its way through JSON text (RFC 8259) without decoding it: where a value ends, whether it is
// valid, and where the placeholders of Socket.IO stand in it.
//
// What it accepts is what [encoding/json.Valid] accepts, the depth included. All of it is text in, offsets out: nothing
// is copied, and nothing allocated but for values nested more than 256 deep.
package jsonscan

import (
	"fmt"
	"math/bits"
)

// MaxDepth is how deep arrays and objects may be nested: as deep as [encoding/json] takes.
const MaxDepth = 10_000

// A SyntaxError says what is wrong, and at which byte of the text.
type SyntaxError struct {
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// Space returns the first offset from i on that is not white space.
func Space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// Value checks the value that begins at i, which is not white space, and returns where it ends. The error is a
// [*SyntaxError].
func Value(s string, i int) (int, error) {
	var open nesting
	for {
		var err error
		if i, err = begin(s, Space(s, i), &open); err != nil {
			return i, err
		}
		if i, err = finish(s, i, &open); err != nil || open.depth == 0 {
			return i, err
		}
	}
}

// begin takes a scalar or an empty array or object, or goes into those that are not empty until it finds one.
func begin(s string, i int, open *nesting) (int, error) {
	for {
		if i == len(s) {
			return i, unexpected(s, i, "a value")
		}
		switch c := s[i]; {
		case c == '"':
			return String(s, i)
		case c == '-' || '0' <= c && c <= '9':
			return number(s, i)
		case c == '[' || c == '{':
			if open.depth == MaxDepth {
				return i, &SyntaxError{i, "nested too deep"}
			}
			next := Space(s, i+1)
			if next < len(s) && s[next] == c+2 { // ']' and '}' are two behind '[' and '{'
				return next + 1, nil
			}
			open.push(c == '{')
			if i = next; c == '{' {
				var err error
				if i, err = member(s, i); err != nil {
					return i, err
				}
			}
		case c == 't':
			return literal(s, i, "true")
		case c == 'f':
			return literal(s, i, "false")
		case c == 'n':
			return literal(s, i, "null")
		default:
			return i, unexpected(s, i, "a value")
		}
	}
}

// finish takes what may stand behind a value: the ends of what it is in, or a comma, and then the name of the member.
func finish(s string, i int, open *nesting) (int, error) {
	for open.depth > 0 {
		i = Space(s, i)
		object := open.object()
		switch {
		case i < len(s) && s[i] == ',':
			if !object {
				return i + 1, nil
			}
			return member(s, Space(s, i+1))
		case i < len(s) && (object && s[i] == '}' || !object && s[i] == ']'):
			open.depth--
			i++
		case object:
			return i, unexpected(s, i, "a comma or the end of the object")
		default:
			return i, unexpected(s, i, "a comma or the end of the array")
		}
	}
	return i, nil
}

// member takes the name of a member and its colon, and gives where the value begins.
func member(s string, i int) (int, error) {
	if i == len(s) || s[i] != '"' {
		return i, unexpected(s, i, "the name of a member")
	}
	i, err := String(s, i)
	if err != nil {
		return i, err
	}
	if i = Space(s, i); i == len(s) || s[i] != ':' {
		return i, unexpected(s, i, "a colon")
	}
	return Space(s, i+1), nil
}

// String checks the string that begins at i with its quote, and returns where it ends.
func String(s string, i int) (int, error) {
	for i++; ; {
		if i = special(s, i); i == len(s) {
			return i, unexpected(s, i, "the end of the string")
		}
		switch s[i] {
		case '"':
			return i + 1, nil
		case '\\':
			var err error
			if i, err = escape(s, i+1); err != nil {
				return i, err
			}
		default:
			return i, &SyntaxError{i, "control character in a string"}
		}
	}
}

// special returns where the first quote, backslash or control character is from i on, eight bytes at a time with the old
// trick to see which byte of a word is zero, or less than another.
func special(s string, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(s); i += 8 {
		b := s[i : i+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		quote, backslash := w^'"'*ones, w^'\\'*ones
		if found := ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-' '*ones)&^w) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s) && s[i] != '"' && s[i] != '\\' && s[i] >= ' '; i++ {
	}
	return i
}

// escape takes what stands behind a backslash.
func escape(s string, i int) (int, error) {
	if i == len(s) {
		return i, unexpected(s, i, "an escape")
	}
	switch s[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, nil
	case 'u':
		for range 4 {
			if i++; i >= len(s) || !hexadecimal(s[i]) {
				return i, unexpected(s, i, "a hexadecimal digit")
			}
		}
		return i + 1, nil
	}
	return i, unexpected(s, i, "an escape")
}

func hexadecimal(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// number: RFC 8259 section 6.
func number(s string, i int) (int, error) {
	if s[i] == '-' {
		i++
	}
	var err error
	if i < len(s) && s[i] == '0' {
		i++
	} else if i, err = digits(s, i); err != nil {
		return i, err
	}
	if i < len(s) && s[i] == '.' {
		if i, err = digits(s, i+1); err != nil {
			return i, err
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		return digits(s, i)
	}
	return i, nil
}

func digits(s string, i int) (int, error) {
	start := i
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	if i == start {
		return i, unexpected(s, i, "a digit")
	}
	return i, nil
}

func literal(s string, i int, word string) (int, error) {
	for j := range len(word) {
		if i+j == len(s) || s[i+j] != word[j] {
			return i + j, unexpected(s, i+j, word)
		}
	}
	return i + len(word), nil
}

func unexpected(s string, i int, want string) error {
	if i >= len(s) {
		return &SyntaxError{len(s), "the text ends where " + want + " should be"}
	}
	return &SyntaxError{i, fmt.Sprintf("%q where %s should be", s[i], want)}
}

// nesting remembers for each open array or object which of both it is, a bit each.
type nesting struct {
	depth int
	bits  [4]uint64
	more  []uint64
}

func (n *nesting) word(level int) *uint64 {
	if w := level / 64; w < len(n.bits) {
		return &n.bits[w]
	} else if w -= len(n.bits); w < len(n.more) {
		return &n.more[w]
	}
	n.more = append(n.more, 0)
	return &n.more[len(n.more)-1]
}

func (n *nesting) push(object bool) {
	bit := uint64(1) << (n.depth % 64)
	if w := n.word(n.depth); object {
		*w |= bit
	} else {
		*w &^= bit
	}
	n.depth++
}

func (n *nesting) object() bool {
	level := n.depth - 1
	return *n.word(level)&(1<<(level%64)) != 0
}
