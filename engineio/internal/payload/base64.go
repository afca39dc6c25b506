package payload

// notBase64 marks what is no character of the alphabet. It is beyond six bits.
const notBase64 = 0x80

// base64Values maps the alphabet of RFC 4648 4 to its values.
var base64Values = func() (values [256]byte) {
	for i := range values {
		values[i] = notBase64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		values[c] = byte(i)
	}
	return values
}()

// decodeBase64 decodes b in place. Line breaks are skipped, as some encoders put one after each 76 characters; otherwise b
// has to be what an encoder would have made of the data (RFC 4648 3.2 and 3.5). bad is where it is not, or -1.
func decodeBase64(b []byte) (data []byte, bad int) {
	n, i := 0, 0
	for {
		for i+4 <= len(b) {
			q := b[i : i+4 : i+4]
			v0, v1, v2, v3 := base64Values[q[0]], base64Values[q[1]], base64Values[q[2]], base64Values[q[3]]
			if (v0|v1|v2|v3)&notBase64 != 0 {
				break
			}
			b[n], b[n+1], b[n+2] = v0<<2|v1>>4, v1<<4|v2>>2, v2<<6|v3
			n, i = n+3, i+4
		}

		var bits uint32
		count := 0
		for ; count < 4 && i < len(b); i++ {
			c := b[i]
			if isLineBreak(c) {
				continue
			}
			v := base64Values[c]
			if v == notBase64 {
				if c != '=' || count < 2 {
					return nil, i
				}
				return padded(b, n, i, bits, count)
			}
			bits = bits<<6 | uint32(v)
			count++
		}
		switch count {
		case 0:
			return b[:n], -1
		case 4:
			b[n], b[n+1], b[n+2] = byte(bits>>16), byte(bits>>8), byte(bits)
			n += 3
		default:
			return nil, len(b)
		}
	}
}

// padded ends a decoding whose last quantum has only count characters: the first of its padding is at b[i].
func padded(b []byte, n, i int, bits uint32, count int) (data []byte, bad int) {
	first := i
	for have := count; i < len(b); i++ {
		if isLineBreak(b[i]) {
			continue
		}
		if b[i] != '=' || have == 4 {
			return nil, i
		}
		have++
		if have == 4 {
			count += 4 // it is all there; only line breaks may follow
		}
	}
	switch {
	case count == 6 && bits&0xF == 0:
		b[n] = byte(bits >> 4)
		return b[:n+1], -1
	case count == 7 && bits&0x3 == 0:
		b[n], b[n+1] = byte(bits>>10), byte(bits>>2)
		return b[:n+2], -1
	case count < 4:
		return nil, len(b)
	}
	return nil, first - 1
}

func isLineBreak(c byte) bool { return c == '\n' || c == '\r' }
