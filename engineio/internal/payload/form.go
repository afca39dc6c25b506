package payload

import "bytes"

// DecodeForm returns the payload, always text, that a JSONP client posted: the field d of a form of the content type
// application/x-www-form-urlencoded. The error is an [*Error] for [ErrForm].
//
// The payload lies in body, which is changed. A browser would turn line feeds into something else, and so the client
// writes them as \n, and a backslash before an n as two; this is undone.
func DecodeForm(body []byte) ([]byte, error) {
	start, end := -1, 0
	for at := 0; at < len(body); {
		next := len(body)
		if i := bytes.IndexByte(body[at:], '&'); i >= 0 {
			next = at + i
		}
		if field := body[at:next]; len(field) >= 2 && field[0] == 'd' && field[1] == '=' {
			if start >= 0 {
				return nil, fault(ErrForm, at, "a second field d")
			}
			start, end = at+2, next
		}
		at = next + 1
	}
	if start < 0 {
		return nil, fault(ErrForm, 0, "no field d")
	}
	data, bad := unescapeQuery(body[start:end])
	if bad >= 0 {
		return nil, fault(ErrForm, start+bad, "malformed percent-encoding")
	}
	return unescapeNewlines(data), nil
}

// unescapeQuery undoes application/x-www-form-urlencoded in place. bad is the percent sign that begins no escape, or -1.
func unescapeQuery(b []byte) (data []byte, bad int) {
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(b) {
				return nil, i
			}
			high, low := hexValue(b[i+1]), hexValue(b[i+2])
			if high > 0xF || low > 0xF {
				return nil, i
			}
			c = high<<4 | low
			i += 2
		}
		b[n] = c
		n++
	}
	return b[:n], -1
}

func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xFF
}

// unescapeNewlines turns \n into a line feed and \\n into \n, in place. Other backslashes are as they are.
func unescapeNewlines(b []byte) []byte {
	n, i := 0, 0
	for i < len(b) {
		rest := b[i:]
		switch {
		case len(rest) >= 3 && rest[0] == '\\' && rest[1] == '\\' && rest[2] == 'n':
			b[n], b[n+1] = '\\', 'n'
			n, i = n+2, i+3
		case len(rest) >= 2 && rest[0] == '\\' && rest[1] == 'n':
			b[n] = '\n'
			n, i = n+1, i+2
		default:
			b[n] = rest[0]
			n, i = n+1, i+1
		}
	}
	return b[:n]
}
