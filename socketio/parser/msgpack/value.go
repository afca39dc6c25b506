package msgpack

import (
	"unsafe"

	"baro.dev/socketio/parser"
)

// Append appends a value, as it would be sent as an argument: one of Go, or a [parser.Value]. Servers talk to each other
// in MessagePack, too.
func Append(dst []byte, v any) ([]byte, error) {
	d := parser.Values(v)
	return appendValue(dst, d.Value(0))
}

// Check checks the value that data begins with, and returns how many bytes it has. The error is a [*parser.Error].
func Check(data []byte) (int, error) {
	var c counter
	end, err := c.skip(unsafe.String(unsafe.SliceData(data), len(data)), 0) // for the time of this call
	if err != nil {
		return 0, &parser.Error{Part: parser.PartMessage, Offset: end, Reason: err.Error(), Err: err}
	}
	return end, nil
}

// Read checks the value that data begins with, and returns a copy of it and what is behind it. Nothing is allocated for
// what data only declares. The error is a [*parser.Error].
func Read(data []byte) (v parser.Value, rest []byte, err error) {
	end, err := Check(data)
	if err != nil {
		return parser.Value{}, nil, err
	}
	return parser.MakeValue(format, string(data[:end])), data[end:], nil
}

// Event makes the data of an event of an array, which s is as a whole: its name and its arguments. They are parts of s. The
// error is a [*parser.Error].
func Event(s string) (parser.Data, error) {
	end, err := Check(lend(s))
	if err != nil {
		return parser.Data{}, err
	}
	var p parser.Packet
	p.Type = parser.Event
	err = readData(&p, s, span{0, end})
	if err == nil && end != len(s) {
		err = &parser.Error{Part: parser.PartPayload, Offset: end, Reason: "there is something behind it"}
	}
	return p.Data, err
}
