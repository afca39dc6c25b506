package requesthead

import (
	"encoding/binary"
	"math/bits"
)

// Sets of ASCII characters, a bit for each.
const (
	digits  = (1<<10 - 1) << '0'
	letters = (1<<26-1)<<'A' | (1<<26-1)<<'a'
	common  = digits | letters |
		1<<'!' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.' | 1<<'_' | 1<<'~'
	// token is RFC 9110 5.6.2.
	token = common | 1<<'#' | 1<<'^' | 1<<'`' | 1<<'|'
	// host is RFC 3986 3.2.2 with a port, in any order, as net/http has it.
	host = common | 1<<'(' | 1<<')' | 1<<',' | 1<<';' | 1<<'=' | 1<<':' | 1<<'[' | 1<<']'

	half = 1<<64 - 1
)

func isIn(low, high uint64, c byte) bool {
	return low>>c&1 != 0 || c >= 64 && high>>(c-64)&1 != 0
}

func validName(s string) bool {
	for i := range len(s) {
		if !isIn(token&half, token>>64, s[i]) {
			return false
		}
	}
	return s != ""
}

func validHost(s string) bool {
	for i := range len(s) {
		if !isIn(host&half, host>>64, s[i]) {
			return false
		}
	}
	return s != ""
}

// equalFold ignores the case of the ASCII letters in s; lower has only small ones.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// countControls counts the control characters: what is below a space, and DEL (RFC 9110 5.5).
func countControls(p []byte) (n int) {
	const (
		ones  = 0x0101010101010101
		seven = 0x7f * ones
	)
	for len(p) >= 8 {
		word := binary.LittleEndian.Uint64(p)
		// Sums of seven bits carry into the eighth of the same byte and no further.
		fromSpace := word&seven + (0x80-' ')*ones
		isDEL := word&seven + 1*ones
		n += bits.OnesCount64((^fromSpace | isDEL) &^ word &^ seven)
		p = p[8:]
	}
	for _, c := range p {
		if c < ' ' || c == 0x7f {
			n++
		}
	}
	return n
}
