package payload

import (
	"errors"
	"testing"
)

// One packet in each WebSocket message.
func TestMessage(t *testing.T) {
	for _, test := range []struct {
		name   string
		format Format
		packet Packet
		wire   string
		binary bool
	}{
		{"v4 text", V4, message("hello"), "4hello", false},
		{"v4 binary is the data as it is", V4, bin("\x01\x02\x03\x04"), "\x01\x02\x03\x04", true},
		{"v4 empty binary", V4, bin(""), "", true},
		{"v4 base64", V4Base64, bin("\x01\x02\x03\x04"), "bAQIDBA==", false},
		{"v4 probe", V4, text(Ping, "probe"), "2probe", false},
		{"v4 upgrade", V4Base64, text(Upgrade, ""), "5", false},
		{"v3 text", V3, message("hello"), "4hello", false},
		{"v3 binary", V3, bin("\x01\x02\x03\x04"), "\x04\x01\x02\x03\x04", true},
		{"v3 empty binary", V3, bin(""), "\x04", true},
		{"v3 base64", V3Base64, bin("\x01\x02\x03\x04"), "b4AQIDBA==", false},
		{"v3 pong", V3, text(Pong, "probe"), "3probe", false},
	} {
		got := test.format.AppendMessage([]byte("before"), test.packet)
		if string(got) != "before"+test.wire || test.format.IsBinary(test.packet) != test.binary {
			t.Errorf("%s: encoded as %q, binary %v", test.name, got, test.format.IsBinary(test.packet))
		}
		if size := test.format.MessageSize(test.packet); size != len(test.wire) {
			t.Errorf("%s: size %d, not %d", test.name, size, len(test.wire))
		}
		// A client may send base64 whether or not it can take binary, and the other way round.
		for _, f := range formats() {
			if f.Protocol() != test.format.Protocol() {
				continue
			}
			p, err := f.DecodeMessage([]byte(test.wire), test.binary)
			if err != nil || !equal(p, test.packet) {
				t.Errorf("%s: decoded as %v, %v", test.name, p, err)
			}
		}
	}
}

func TestMalformedMessage(t *testing.T) {
	for _, test := range []struct {
		name   string
		format Format
		wire   string
		binary bool
		err    error
		offset int
	}{
		{"v4 empty", V4, "", false, ErrEmpty, 0},
		{"v4 type 7", V4, "7", false, ErrType, 0},
		{"v4 no type", V4, "abc", false, ErrType, 0},
		{"v4 base64", V4, "bAQ_=", false, ErrBase64, 3},
		{"v3 empty", V3, "", false, ErrEmpty, 0},
		{"v3 empty binary", V3, "", true, ErrEmpty, 0},
		{"v3 type 7", V3, "7", false, ErrType, 0},
		{"v3 binary type '4'", V3, "4a", true, ErrType, 0},
		{"v3 binary ping", V3, "\x02probe", true, ErrBinary, 0},
		{"v3 base64 ping", V3, "b2AQI=", false, ErrBinary, 1},
		{"v3 base64 of nothing", V3, "b", false, ErrType, 1},
		{"v3 base64", V3, "b4AQI", false, ErrBase64, 5},
	} {
		_, err := test.format.DecodeMessage([]byte(test.wire), test.binary)
		var e *Error
		if !errors.As(err, &e) || e.Err != test.err || e.Offset != test.offset {
			t.Errorf("%s: %v, want byte %d: %v", test.name, err, test.offset, test.err)
		}
		wellFormed(t, err, len(test.wire), 0)
	}
}
