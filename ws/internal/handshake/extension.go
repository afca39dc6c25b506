package handshake

import (
	"net/http"
	"strings"
)

// Bounds of a Sec-WebSocket-Extensions header. Browsers send one extension with one parameter.
const (
	maxExtensionBytes  = 4096
	maxExtensions      = 32
	maxExtensionParams = 16
)

// extension is an element of a Sec-WebSocket-Extensions header (RFC 6455 9.1).
type extension struct {
	name   string
	params []param
}

// param is a parameter of an extension; a value that came as a quoted string is unquoted.
type param struct {
	name, value string
	hasValue    bool
}

// extensionScanner takes Sec-WebSocket-Extensions headers apart in one pass.
//
// RFC 6455 9.1: a recipient of a value that does not conform to the grammar MUST fail the connection. White space is
// allowed wherever RFC 2616 implied it, which that grammar was written for; empty list elements are ignored.
type extensionScanner struct {
	lines   []string // still to come
	line    string   // the one at hand
	rest    string   // what is left of it
	present bool     // there was a line
	count   int
	params  [maxExtensionParams]param
}

// next returns the next extension, whose parameters are valid until the following call; ok is false at the end and after
// an error.
func (s *extensionScanner) next() (e extension, ok bool, err *Error) {
	if !s.present && !s.fits() {
		return e, false, refuse(http.StatusRequestHeaderFieldsTooLarge, "Sec-WebSocket-Extensions header: more than %d bytes", maxExtensionBytes)
	}
	for s.rest = skipEmpty(s.rest); s.rest == ""; s.rest = skipEmpty(s.rest) {
		if len(s.lines) == 0 {
			if s.present && s.count == 0 {
				err = s.malformed("an extension")
			}
			return e, false, err
		}
		s.line, s.lines = s.lines[0], s.lines[1:]
		s.rest, s.present = s.line, true
	}
	if s.count++; s.count > maxExtensions {
		return e, false, refuse(http.StatusRequestHeaderFieldsTooLarge, "Sec-WebSocket-Extensions header: more than %d extensions", maxExtensions)
	}
	if e.name = s.token(); e.name == "" {
		return e, false, s.malformed("an extension")
	}
	n := 0
	for s.skipSpace(); s.take(';'); s.skipSpace() {
		if n == maxExtensionParams {
			return e, false, refuse(http.StatusRequestHeaderFieldsTooLarge, "Sec-WebSocket-Extensions header: more than %d parameters", maxExtensionParams)
		}
		if s.params[n], ok = s.param(); !ok {
			return e, false, s.malformed("a parameter")
		}
		n++
	}
	if s.rest != "" && s.rest[0] != ',' {
		return e, false, s.malformed("a comma or semicolon")
	}
	e.params = s.params[:n]
	return e, true, nil
}

// fits bounds the work to be done before any of it is.
func (s *extensionScanner) fits() bool {
	size := 0
	for _, line := range s.lines {
		size += len(line) + 1
	}
	return size <= maxExtensionBytes
}

func (s *extensionScanner) malformed(expected string) *Error {
	return refuse(http.StatusBadRequest, "Sec-WebSocket-Extensions header: %s expected at byte %d, not %s",
		expected, len(s.line)-len(s.rest), quote(s.rest))
}

func (s *extensionScanner) skipSpace() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *extensionScanner) take(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *extensionScanner) token() (token string) {
	n := tokenLen(s.rest)
	token, s.rest = s.rest[:n], s.rest[n:]
	return token
}

func (s *extensionScanner) param() (p param, ok bool) {
	s.skipSpace()
	if p.name = s.token(); p.name == "" {
		return p, false
	}
	s.skipSpace()
	if p.hasValue = s.take('='); !p.hasValue {
		return p, true
	}
	s.skipSpace()
	if s.rest != "" && s.rest[0] == '"' {
		p.value, ok = s.quoted()
		return p, ok
	}
	p.value = s.token()
	return p, p.value != ""
}

// quoted reads a quoted string. RFC 6455 9.1: unescaped, it MUST be a token.
func (s *extensionScanner) quoted() (value string, ok bool) {
	value, rest, ok := strings.Cut(s.rest[1:], `"`)
	if !ok {
		return "", false
	}
	// A token contains neither quote nor backslash, so that every backslash escapes the byte after it, and no quote
	// that ends a valid string is escaped.
	if strings.IndexByte(value, '\\') >= 0 {
		unescaped := make([]byte, 0, len(value))
		for i := 0; i < len(value); i++ {
			if value[i] == '\\' {
				i++
			}
			if i == len(value) {
				return "", false
			}
			unescaped = append(unescaped, value[i])
		}
		value = string(unescaped)
	}
	if !isToken(value) {
		return "", false
	}
	s.rest = rest
	return value, true
}
