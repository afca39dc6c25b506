package clusteradapter

import (
	"errors"
	"math"
	"strconv"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio/internal/jsonscan"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// raw is a value as it came, that has been checked: JSON, or MessagePack. The text is lent.
type raw struct {
	text   string
	packed bool
}

var errBehind = errors.New("there is something behind the value")

// read checks data. JSON is told from MessagePack by its first byte, as the official adapters do.
func read(data []byte) (raw, error) {
	s := unsafe.String(unsafe.SliceData(data), len(data))
	if len(data) > 0 && data[0] == '{' {
		end, err := jsonscan.Value(s, 0)
		if err == nil && jsonscan.Space(s, end) != len(s) {
			err = errBehind
		}
		return raw{text: s[:end]}, err
	}
	end, err := msgpack.Check(data)
	if err == nil && end != len(data) {
		err = errBehind
	}
	return raw{s, true}, err
}

func (r raw) bytes() []byte { return unsafe.Slice(unsafe.StringData(r.text), len(r.text)) }

// absent: null, undefined (fixext 1 of type 0), or not there.
func (r raw) absent() bool {
	if r.packed {
		return r.text == "" || r.text == "\xc0" || r.text == "\xd4\x00\x00"
	}
	return r.text == "" || r.text == "null"
}

// members calls f with each member of an object; f reports whether it wants more. It reports false if r is none.
func (r raw) members(f func(name string, value raw) bool) bool {
	if r.packed {
		return r.packedMembers(f)
	}
	s := r.text
	if s == "" || s[0] != '{' {
		return false
	}
	for i := jsonscan.Space(s, 1); i < len(s) && s[i] != '}'; {
		end := jsonscan.SkipString(s, i)
		name := jsonscan.Unquote(s[i:end])
		i = jsonscan.Space(s, jsonscan.Space(s, end)+1) // behind the colon
		end = jsonscan.Skip(s, i)
		if !f(name, raw{text: s[i:end]}) {
			return true
		}
		if i = jsonscan.Space(s, end); i < len(s) && s[i] == ',' {
			i = jsonscan.Space(s, i+1)
		}
	}
	return true
}

func (r raw) packedMembers(f func(name string, value raw) bool) bool {
	if msgp.NextType(r.bytes()) != msgp.MapType {
		return false
	}
	n, b, err := msgp.ReadMapHeaderBytes(r.bytes())
	for range n {
		var name []byte
		if name, b, err = msgp.ReadStringZC(b); err != nil {
			return false
		}
		rest, err := msgp.Skip(b)
		if err != nil {
			return false
		}
		value := b[:len(b)-len(rest)]
		if !f(unsafe.String(unsafe.SliceData(name), len(name)), raw{unsafe.String(unsafe.SliceData(value), len(value)), true}) {
			return true
		}
		b = rest
	}
	return err == nil
}

// array reports whether r is one.
func (r raw) array() bool {
	if r.packed {
		return r.text != "" && msgp.NextType(r.bytes()) == msgp.ArrayType
	}
	return r.text != "" && r.text[0] == '['
}

// string gives a lent string.
func (r raw) string() (string, bool) {
	if r.packed {
		b, _, err := msgp.ReadStringZC(r.bytes())
		return unsafe.String(unsafe.SliceData(b), len(b)), err == nil
	}
	if r.text == "" || r.text[0] != '"' {
		return "", false
	}
	return jsonscan.Unquote(r.text), true
}

// strings gives a list of strings, lent.
func (r raw) strings() (list []string, ok bool) {
	if !r.array() {
		return nil, false
	}
	if r.packed {
		n, b, err := msgp.ReadArrayHeaderBytes(r.bytes())
		for range n {
			var s []byte
			if s, b, err = msgp.ReadStringZC(b); err != nil {
				return nil, false
			}
			list = append(list, unsafe.String(unsafe.SliceData(s), len(s)))
		}
		return list, err == nil
	}
	s := r.text
	for i := jsonscan.Space(s, 1); i < len(s) && s[i] != ']'; {
		if s[i] != '"' {
			return nil, false
		}
		end := jsonscan.SkipString(s, i)
		list = append(list, jsonscan.Unquote(s[i:end]))
		if i = jsonscan.Space(s, end); i < len(s) && s[i] == ',' {
			i = jsonscan.Space(s, i+1)
		}
	}
	return list, true
}

// number gives a whole number that is not negative.
func (r raw) number() (int64, bool) {
	if r.packed {
		switch b := r.bytes(); msgp.NextType(b) {
		case msgp.UintType, msgp.IntType:
			n, _, err := msgp.ReadInt64Bytes(b)
			return n, err == nil && n >= 0
		case msgp.Float64Type, msgp.Float32Type:
			f, _, err := msgp.ReadFloat64Bytes(b)
			return int64(f), err == nil && f >= 0 && f <= parser.MaxID && f == math.Trunc(f)
		}
		return 0, false
	}
	n, err := strconv.ParseInt(r.text, 10, 64)
	return n, err == nil && n >= 0
}

func (r raw) bool() (value, ok bool) {
	if r.packed {
		b, _, err := msgp.ReadBoolBytes(r.bytes())
		return b, err == nil
	}
	return r.text == "true", r.text == "true" || r.text == "false"
}

// value gives a copy.
func (r raw) value() (v parser.Value) {
	switch {
	case r.absent():
	case r.packed:
		v, _, _ = msgpack.Read(r.bytes())
	default:
		_ = v.UnmarshalJSON(r.bytes())
	}
	return v
}

// packet gives a copy of an array as the data of an event or, if not event, of an acknowledgement.
func (r raw) packet(namespace string, event bool, limits *parser.Limits) (*parser.Packet, error) {
	p := new(parser.Packet)
	buf := make([]byte, 0, len(r.text)+32)
	var err error
	if r.packed {
		buf = msgp.AppendMapHeader(buf, 4)
		buf = msgp.AppendString(buf, "type")
		if event {
			buf = append(buf, byte(parser.Event))
			buf = append(msgp.AppendString(buf, "id"), 0xc0)
		} else {
			buf = append(buf, byte(parser.Ack))
			buf = append(msgp.AppendString(buf, "id"), 0)
		}
		buf = msgp.AppendString(msgp.AppendString(buf, "nsp"), "/")
		buf = append(msgp.AppendString(buf, "data"), r.text...)
		_, err = msgpack.Codec.NewDecoder(limits).Add(p, true, buf)
	} else {
		if event {
			buf = append(buf, '2')
		} else {
			buf = append(buf, "30"...)
		}
		_, err = parser.JSON.NewDecoder(limits).Add(p, false, append(buf, r.text...))
	}
	p.Namespace = namespace
	return p, err
}
