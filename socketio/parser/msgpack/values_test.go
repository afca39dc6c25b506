package msgpack_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

func TestNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"0": "00", "-0": "cb8000000000000000", "127": "7f", "128": "d10080", "-1": "ff", "-32": "e0", "-33": "d0df",
		"9007199254740993": "d30020000000000001", "18446744073709551615": "cfffffffffffffffff",
		"18446744073709551616": "cb43f0000000000000", "1.0": "cb3ff0000000000000", "1e2": "cb4059000000000000",
		"1e400": "cb7ff0000000000000",
	} {
		v := decodeJSON(t, `2["e",`+text+`]`)
		got := hex.EncodeToString(encode(t, msgpack.Codec, v))
		if got = got[len(hex.EncodeToString(packet(""))):]; got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
	for wire, want := range map[string]string{
		"cc ff": "255", "cd ffff": "65535", "ce ffffffff": "4294967295", "cf 0020000000000001": "9007199254740993",
		"d0 80": "-128", "d1 8000": "-32768", "d2 80000000": "-2147483648", "d3 8000000000000000": "-9223372036854775808",
		"d0 01": "1", "ca 3fc00000": "1.5", "cb 4197d78400000000": "100000000", "cb 7ff8000000000000": "null",
		"cb fff0000000000000": "null", "cb 3e7ad7f29abcaf48": "1e-07", "cb 444b1ae4d6e2ef50": "1e+21",
	} {
		if got := decode(t, packet(wire)).Data.Value(0).String(); got != want {
			t.Errorf("%s is %s, want %s", wire, got, want)
		}
	}
}

func decodeJSON(t testing.TB, text string) *parser.Packet {
	t.Helper()
	p, err := add(parser.JSON.NewDecoder(nil), false, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExtensions(t *testing.T) {
	for wire, want := range map[string]string{
		"d4 00 00":                           `null`,
		"d7 00 0000019b8a4e3a00":             `"2026-01-04T18:39:01.120Z"`,
		"d7 00 ffffffffffffffff":             `"1969-12-31T23:59:59.999Z"`,
		"c7 02 00 abcd":                      `"q80="`,
		"d6 ff 00000001":                     `"1970-01-01T00:00:01Z"`,
		"d7 ff 00000004 00000001":            `"1970-01-01T00:00:01.000000001Z"`,
		"c7 0c ff 00000001 ffffffffffffffff": `"1969-12-31T23:59:59.000000001Z"`,
		"d5 05 abcd":                         `[5,"q80="]`,
		"c8 0001 fe ab":                      `[-2,"qw=="]`,
		"82 01 02 c3 c0":                     `{"1":2,"true":null}`,
		"a2 ff41":                            `"�A"`,
		"92 c4 00 90":                        `["",[]]`,
		"df 00000001 d9 01 61 dd 00000000":   `{"a":[]}`,
	} {
		p := decode(t, packet(wire))
		if got := p.Data.Value(0).String(); got != want {
			t.Errorf("%s is %s, want %s", wire, got, want)
		}
		if again := encode(t, msgpack.Codec, p); hex.EncodeToString(again) != hex.EncodeToString(packet(wire)) {
			t.Errorf("%s relayed as %x", wire, again)
		}
		out := event("e", p.Data.Value(0)) // one by one, too
		if again := encode(t, msgpack.Codec, &out); hex.EncodeToString(again) != hex.EncodeToString(packet(wire)) {
			t.Errorf("%s relayed as %x", wire, again)
		}
	}
	var when time.Time
	if err := decode(t, packet("d7 00 0000019b8a4e3a00")).Data.Bind(&when); err != nil || when.UnixMilli() != 0x19b8a4e3a00 {
		t.Errorf("%v, %v", when, err)
	}
	if err := decode(t, packet("81 90 01")).Data.Bind(new(any)); err == nil {
		t.Error("an array as the key of a map was decoded")
	}
}

// One value behind the other, as servers send them to each other.
func TestValues(t *testing.T) {
	var b []byte
	var err error
	in := decode(t, packet("d7 00 0000019b8a4e3a00"))
	for _, v := range []any{"uid", map[string]any{"b": []byte{1}, "n": nil}, in.Data.Value(0)} {
		if b, err = msgpack.Append(b, v); err != nil {
			t.Fatal(err)
		}
	}
	if got := hex.EncodeToString(b); got != "a375696482a162c40101a16ec0d7000000019b8a4e3a00" {
		t.Errorf("%s", got)
	}
	var uid string
	var object map[string]any
	var when time.Time
	for _, dst := range []any{&uid, &object, &when} {
		var v parser.Value
		if v, b, err = msgpack.Read(b); err != nil {
			t.Fatal(err)
		}
		if err := v.Decode(dst); err != nil {
			t.Error(err)
		}
	}
	if uid != "uid" || !reflect.DeepEqual(object, map[string]any{"b": []byte{1}, "n": nil}) || when.UnixMilli() != 0x19b8a4e3a00 || len(b) != 0 {
		t.Errorf("%q, %v, %v, %d bytes left", uid, object, when, len(b))
	}
	if _, _, err := msgpack.Read(nil); !errors.Is(err, parser.ErrProtocol) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := msgpack.Append(nil, make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}
