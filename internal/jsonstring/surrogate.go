package jsonstring

import (
	"bytes"
	"strconv"
)

// LoneSurrogate finds an escape in JSON that is half of a pair of surrogates, and where: decoders make U+FFFD of it, without a word. RFC
// 7493 section 2.1 forbids them. It is -1 where there is none. The syntax has to be right.
func LoneSurrogate(data []byte) int {
	high := -1 // where one is that wants a low one at once
	for i := 0; ; {
		next := bytes.IndexByte(data[i:], '\\')
		if high >= 0 && next != 0 || next < 0 || i+next+1 >= len(data) {
			return high
		}
		i += next
		if data[i+1] != 'u' || i+6 > len(data) {
			if high >= 0 {
				return high
			}
			i += 2
			continue
		}
		unit, err := strconv.ParseUint(string(data[i+2:i+6]), 16, 16)
		low := err == nil && unit >= 0xDC00 && unit < 0xE000
		switch {
		case high >= 0 && !low:
			return high
		case high < 0 && low:
			return i
		}
		high = -1
		if err == nil && unit >= 0xD800 && unit < 0xDC00 {
			high = i
		}
		i += 6
	}
}
