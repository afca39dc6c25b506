package jsonscan

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Skip returns where the value ends that begins at i of text that is known to be valid.
func Skip(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '"':
			if i = SkipString(s, i) - 1; depth == 0 {
				return i + 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return i // behind a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ':', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// SkipString returns where the string ends that begins at i of text that is known to be valid.
func SkipString(s string, i int) int {
	for i++; ; i++ {
		n := strings.IndexByte(s[i:], '"')
		i += n
		backslashes := 0
		for s[i-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i + 1
		}
	}
}

// Unquote gives what a valid string, its quotes included, says. It allocates only where the string has escapes. An
// escape that is half of a surrogate pair becomes U+FFFD, and so does what is not UTF-8 in a string with escapes.
func Unquote(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s[1 : len(s)-1]
	}
	var text string
	if json.Unmarshal([]byte(s), &text) != nil {
		return s[1 : len(s)-1] // not a valid string
	}
	return text
}

// A Place is where a placeholder stands in a text, {"_placeholder":true,"num":0}, and the number that it has.
type Place struct {
	Start, End int
	Number     int // -1: no number, or one that is no index
}

// Placeholders appends the placeholders in the value at i of text that is known to be valid. As for the official
// decoder a placeholder is any object whose last member of the name _placeholder is true, and what else is in it does
// not count.
func Placeholders(places []Place, s string, i int) []Place {
	type level struct {
		start, before int // where it begins, and how many places were known then
		object, found bool
		number        int
	}
	var open []level
	for end := Skip(s, i); i < end; {
		switch c := s[i]; c {
		case '[', '{':
			open = append(open, level{start: i, before: len(places), object: c == '{', number: -1})
			i++
		case ']', '}':
			i++
			in := open[len(open)-1]
			if open = open[:len(open)-1]; in.found {
				places = append(places[:in.before], Place{in.start, i, in.number})
			}
		case '"':
			start := i
			i = SkipString(s, i)
			name := s[start:i]
			if len(open) == 0 || !open[len(open)-1].object {
				continue
			}
			colon := Space(s, i)
			if s[colon] != ':' {
				continue // the value of a member
			}
			i = Space(s, colon+1)
			switch in := &open[len(open)-1]; Unquote(name) {
			case "_placeholder":
				in.found = s[i] == 't'
			case "num":
				in.number = index(s[i:Skip(s, i)])
			}
		default:
			i++
		}
	}
	return places
}

// index gives the small whole number that a value is, or -1.
func index(value string) int {
	f, err := strconv.ParseFloat(value, 64)
	if n := int(f); err == nil && f >= 0 && f < 1<<20 && float64(n) == f && value[0] != '"' {
		return n
	}
	return -1
}
