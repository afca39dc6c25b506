package handshake

import "strings"

// Names of headers in the canonical form of net/http, for looking them up.
const (
	headerKey        = "Sec-Websocket-Key"
	headerAccept     = "Sec-Websocket-Accept"
	headerVersion    = "Sec-Websocket-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
	headerExtensions = "Sec-Websocket-Extensions"
)

// version is the only one there is (RFC 6455 4.1).
const version = "13"

// list walks a comma-separated list that may be spread over several header lines, ignoring empty elements
// (RFC 9110 5.3 and 5.6.1). It is for lists without quoted strings.
type list struct {
	lines []string
	rest  string
}

func (l *list) next() (item string, ok bool) {
	for {
		if l.rest = skipEmpty(l.rest); l.rest != "" {
			item, l.rest, _ = strings.Cut(l.rest, ",")
			return strings.TrimRight(item, " \t"), true
		}
		if len(l.lines) == 0 {
			return "", false
		}
		l.rest, l.lines = l.lines[0], l.lines[1:]
	}
}

// skipEmpty cuts white space and empty elements off the start of a list.
func skipEmpty(s string) string {
	for i := range len(s) {
		if s[i] != ',' && s[i] != ' ' && s[i] != '\t' {
			return s[i:]
		}
	}
	return ""
}

// count returns how often a list names a token, whatever its case.
func count(lines []string, token string) (n int) {
	l := list{lines: lines}
	for item, ok := l.next(); ok; item, ok = l.next() {
		if equalFold(item, token) {
			n++
		}
	}
	return n
}

// equalFold ignores the case of ASCII letters only: strings.EqualFold takes U+212A, the Kelvin sign, for a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// tokenLen returns how many bytes at the start of s belong to a token (RFC 9110 5.6.2; the same set as in RFC 2616,
// which RFC 6455 refers to).
func tokenLen(s string) int {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return i
		}
	}
	return len(s)
}

func isToken(s string) bool { return s != "" && tokenLen(s) == len(s) }
