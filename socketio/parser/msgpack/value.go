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

// Read checks the value that data begins with, and returns a copy of it and what is behind it. Nothing is allocated for
// what data only declares. The error is a [*parser.Error].
func Read(data []byte) (v parser.Value, rest []byte, err error) {
	var c counter
	end, err := c.skip(unsafe.String(unsafe.SliceData(data), len(data)), 0) // for the time of this call
	if err != nil {
		return parser.Value{}, nil, &parser.Error{Part: parser.PartMessage, Offset: end, Reason: err.Error(), Err: err}
	}
	return parser.MakeValue(format, string(data[:end])), data[end:], nil
}
