package payload

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A decoder that is as short as it can be, for what is text and valid UTF-8 as a whole: it makes a copy of everything.
func reference(f Format, body string) (packets []Packet, ok bool) {
	if f.Protocol() == 4 {
		for s := range strings.SplitSeq(body, "\x1e") {
			p, ok := referencePacket(f, s)
			if !ok {
				return packets, false
			}
			packets = append(packets, p)
		}
		return packets, true
	}
	rest := utf16.Encode([]rune(body))
	for len(rest) > 0 {
		var digits string
		for len(rest) > 0 && rest[0] < utf8.RuneSelf && rest[0] != ':' {
			digits, rest = digits+string(rune(rest[0])), rest[1:]
		}
		length, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || length == 0 || digits[0] == '0' || len(rest) < 1 || rest[0] != ':' || uint64(len(rest)-1) < length {
			return packets, false
		}
		runes := utf16.Decode(rest[1 : 1+length])
		rest = rest[1+length:]
		if len(rest) > 0 && 0xDC00 <= rest[0] && rest[0] < 0xE000 {
			return packets, false
		}
		p, ok := referencePacket(f, string(runes))
		if !ok {
			return packets, false
		}
		packets = append(packets, p)
	}
	return packets, len(packets) > 0
}

func referencePacket(f Format, s string) (Packet, bool) {
	switch {
	case s == "":
		return Packet{}, false
	case s[0] >= '0' && s[0] <= '6':
		return text(Type(s[0]-'0'), s[1:]), true
	case f.Protocol() == 3 && strings.HasPrefix(s, "b4"):
		s = s[2:]
	case f.Protocol() == 4 && s[0] == 'b':
		s = s[1:]
	default:
		return Packet{}, false
	}
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	return bin(string(data)), err == nil
}
