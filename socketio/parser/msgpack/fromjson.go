package msgpack

import (
	"math"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio/internal/jsonscan"
	"baro.dev/socketio/parser"
)

// AppendText translates a JSON value and the binary ones in it. Arrays and maps say first how many elements they have,
// so it is read twice: that neither needs recursion, and the effort does not depend on the depth.
func AppendText(dst []byte, t *parser.Text) []byte {
	s := unsafe.String(unsafe.SliceData(t.JSON), len(t.JSON)) // for the time of this call
	sizes := count(s, t.Binaries)
	binaries := t.Binaries
	for i := 0; i < len(s); {
		if len(binaries) > 0 && binaries[0].Start == i {
			dst = msgp.AppendBytes(dst, binaries[0].Data)
			i, binaries = binaries[0].End, binaries[1:]
			continue
		}
		end := i + 1
		switch s[i] {
		case ' ', '\n', '\r', '\t', ',', ':', ']', '}':
		case '[':
			dst, sizes = msgp.AppendArrayHeader(dst, sizes[0]), sizes[1:]
		case '{':
			dst, sizes = msgp.AppendMapHeader(dst, sizes[0]), sizes[1:]
		case '"':
			end = jsonscan.SkipString(s, i)
			dst = msgp.AppendString(dst, jsonscan.Unquote(s[i:end]))
		case 't', 'f':
			end = jsonscan.Skip(s, i)
			dst = msgp.AppendBool(dst, s[i] == 't')
		case 'n':
			end = jsonscan.Skip(s, i)
			dst = msgp.AppendNil(dst)
		default:
			end = jsonscan.Skip(s, i)
			dst = appendNumber(dst, s[i:end])
		}
		i = end
	}
	return dst
}

// count returns how many elements or members each array and object has, in the order in which they begin.
func count(s string, binaries []parser.Binary) []uint32 {
	var sizes []uint32
	type level struct {
		index  int // in sizes
		object bool
	}
	var open []level
	value := func() { // one begins
		if n := len(open); n > 0 && !open[n-1].object {
			sizes[open[n-1].index]++
		}
	}
	for i := 0; i < len(s); {
		if len(binaries) > 0 && binaries[0].Start == i {
			value()
			i, binaries = binaries[0].End, binaries[1:]
			continue
		}
		end := i + 1
		switch c := s[i]; c {
		case ' ', '\n', '\r', '\t', ',':
		case ':':
			sizes[open[len(open)-1].index]++
		case '[', '{':
			value()
			open = append(open, level{len(sizes), c == '{'})
			sizes = append(sizes, 0)
		case ']', '}':
			open = open[:len(open)-1]
		case '"':
			value()
			end = jsonscan.SkipString(s, i)
		default:
			value()
			end = jsonscan.Skip(s, i)
		}
		i = end
	}
	return sizes
}

func appendNumber(dst []byte, text string) []byte {
	if !strings.ContainsAny(text, ".eE") && text != "-0" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return msgp.AppendInt64(dst, n)
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return msgp.AppendUint64(dst, n)
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(f, 0) {
		f = math.NaN() // not a number: it was not checked
	}
	return msgp.AppendFloat64(dst, f)
}
