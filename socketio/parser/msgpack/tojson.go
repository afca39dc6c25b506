package msgpack

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"

	"baro.dev/socketio/parser"
)

// format is how the values of this codec are written. Its functions get only values that were checked.
var format = &parser.Format{Next: next, AppendJSON: appendValueJSON}

func next(raw string, from int) (start, end int) {
	end, err := new(counter).skip(raw, from)
	if err != nil {
		return from, len(raw) // it was not checked
	}
	return from, end
}

func appendValueJSON(t *parser.Text, value string) error {
	_, err := appendJSON(t, value, 0)
	return err
}

func appendJSON(t *parser.Text, s string, i int) (end int, err error) {
	h, err := readHead(s, i)
	if err != nil {
		return i, err
	}
	end = h.end()
	switch h.kind {
	case kindNil:
		t.JSON = append(t.JSON, "null"...)
	case kindBool:
		t.JSON = strconv.AppendBool(t.JSON, h.n == 1)
	case kindUint:
		t.JSON = strconv.AppendUint(t.JSON, h.n, 10)
	case kindInt:
		t.JSON = strconv.AppendInt(t.JSON, int64(h.n), 10)
	case kindFloat32:
		appendFloat(t, float64(math.Float32frombits(uint32(h.n))))
	case kindFloat64:
		appendFloat(t, math.Float64frombits(h.n))
	case kindString:
		t.AppendString(s[h.body:end])
	case kindBinary:
		t.AppendBinary(lend(s[h.body:end]), true)
	case kindFixExtension, kindExtension:
		appendExtension(t, &h, s[h.body:end])
	case kindArray:
		t.JSON = append(t.JSON, '[')
		for element := range h.n {
			if element > 0 {
				t.JSON = append(t.JSON, ',')
			}
			if end, err = appendJSON(t, s, end); err != nil {
				return end, err
			}
		}
		t.JSON = append(t.JSON, ']')
	case kindMap:
		t.JSON = append(t.JSON, '{')
		for member := range h.n {
			if member > 0 {
				t.JSON = append(t.JSON, ',')
			}
			if end, err = appendKey(t, s, end); err != nil {
				return end, err
			}
			t.JSON = append(t.JSON, ':')
			if end, err = appendJSON(t, s, end); err != nil {
				return end, err
			}
		}
		t.JSON = append(t.JSON, '}')
	}
	return end, nil
}

// appendKey makes the key of a map a string, as JavaScript does.
func appendKey(t *parser.Text, s string, i int) (int, error) {
	h, err := readHead(s, i)
	if err != nil {
		return i, err
	}
	switch h.kind {
	case kindString:
		return appendJSON(t, s, i)
	case kindNil, kindBool, kindUint, kindInt, kindFloat32, kindFloat64:
		t.JSON = append(t.JSON, '"')
		end, err := appendJSON(t, s, i)
		t.JSON = append(t.JSON, '"')
		return end, err
	}
	return i, fmt.Errorf("msgpack: the key of a map at byte %d is neither a string nor a number", i)
}

// appendFloat writes numbers as [encoding/json] does, so that whole ones can be decoded into integers.
func appendFloat(t *parser.Text, f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		t.JSON = append(t.JSON, "null"...)
		return
	}
	verb := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		verb = 'e'
	}
	t.JSON = strconv.AppendFloat(t.JSON, f, verb, -1, 64)
}

const (
	extOfficial  = 0  // undefined, Date and ArrayBuffer, told apart by their size
	extTimestamp = -1 // of the MessagePack specification
)

func appendExtension(t *parser.Text, h *head, data string) {
	fixed := h.kind == kindFixExtension
	switch {
	case h.ext == extOfficial && !fixed:
		t.AppendBinary(lend(data), true)
	case h.ext == extOfficial && len(data) == 1:
		t.JSON = append(t.JSON, "null"...)
	case h.ext == extOfficial && len(data) == 8:
		t.AppendString(time.UnixMilli(int64(number(data))).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case h.ext == extTimestamp && (len(data) == 4 || len(data) == 8 || len(data) == 12):
		t.AppendString(timestamp(data).Format(time.RFC3339Nano))
	default:
		t.JSON = append(t.JSON, '[')
		t.JSON = strconv.AppendInt(t.JSON, int64(h.ext), 10)
		t.JSON = append(t.JSON, ',')
		t.AppendBinary(lend(data), true)
		t.JSON = append(t.JSON, ']')
	}
}

// timestamp reads the timestamps of the specification: 32 bits of seconds; 30 of nanoseconds and 34 of seconds; 32 of
// nanoseconds and 64 of seconds.
func timestamp(data string) time.Time {
	switch len(data) {
	case 4:
		return time.Unix(int64(number(data)), 0).UTC()
	case 8:
		n := number(data)
		return time.Unix(int64(n&(1<<34-1)), int64(n>>34)).UTC()
	}
	return time.Unix(int64(number(data[4:])), int64(number(data[:4]))).UTC()
}

// lend gives the bytes of s to who only reads them.
func lend(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
