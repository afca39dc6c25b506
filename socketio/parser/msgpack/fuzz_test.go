package msgpack_test

import (
	"errors"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// No input makes the decoder panic; what it accepts goes out as it came, and to clients of the other codec as the same.
func FuzzDecode(f *testing.F) {
	f.Add(unhex("85a47479706502a46461746192a171a178a76f7074696f6e7381a8636f6d7072657373c3a2696400a36e7370a12f"))
	f.Add(unhex("83a47479706500a46461746182a3736964b4536d59646a786c47354c6d3041796a4541414141a3706964d40000a36e7370a12f"))
	f.Add(packet("94 d7 00 0000019b8a4e3a00 c7 02 00 abcd d6 ff 00000001 cb 7ff8000000000000"))
	f.Add(packet("82 01 dc 0001 c4 01 ff a1 ff de 0000"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		typ, _, ok := msgpack.Codec.Peek(true, wire)
		p, err := add(msgpack.Codec.NewDecoder(nil), true, wire)
		if err != nil {
			if wrong, ok := errors.AsType[*parser.Error](err); !ok || wrong.Offset > len(wire) || p != nil {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		if rest, err := msgp.Skip(wire); err != nil || len(rest) > 0 {
			t.Fatalf("another implementation: %v, %d bytes left", err, len(rest))
		}
		if !ok || typ > parser.ConnectError {
			t.Fatalf("Peek says %v, %v", typ, ok)
		}
		m, err := msgpack.Codec.Encode(nil, nil, p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := add(msgpack.Codec.NewDecoder(nil), true, m[0].Data)
		if err != nil || !same(p, again) {
			t.Fatalf("relayed as %x: %v", m[0].Data, err)
		}
		other, err := parser.JSON.Encode(nil, nil, p)
		if err != nil {
			return // the key of a map, or binary where JSON has none
		}
		d := parser.JSON.NewDecoder(&parser.Limits{MaxAttachments: msgpack.MaxBinaries})
		var translated *parser.Packet
		for _, m := range other {
			if translated, err = add(d, m.Binary, m.Data); err != nil {
				if wrong, ok := errors.AsType[*parser.Error](err); ok && wrong.Part == parser.PartPlaceholder {
					return // a map that looks like a placeholder
				}
				t.Fatalf("%s: %v", other[0].Data, err)
			}
		}
		if translated == nil || translated.Data.Len() != p.Data.Len() {
			t.Fatalf("translated to %s", other[0].Data)
		}
	})
}

// What the default codec accepts is translated, and comes back as the same.
func FuzzTranslate(f *testing.F) {
	f.Add(`2["e",{"a":[1,-1,2.5,1e3,"x\u00e9",null,true,[],{}]},{"":{"":[[]]}}]`)
	f.Add(`36[{"a":18446744073709551615,"b":-9223372036854775808,"c":-0}]`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := add(parser.JSON.NewDecoder(nil), false, []byte(text))
		if err != nil || p == nil {
			return
		}
		m, err := msgpack.Codec.Encode(nil, nil, p)
		if err != nil {
			t.Fatal(err)
		}
		if rest, err := msgp.Skip(m[0].Data); err != nil || len(rest) > 0 {
			t.Fatalf("another implementation: %v, %d bytes left", err, len(rest))
		}
		in := decode(t, m[0].Data)
		if in.Type != p.Type || in.Namespace != p.Namespace || in.ID != p.ID || in.HasID != p.HasID || in.Data.Len() != p.Data.Len() {
			t.Fatalf("%s came back as %+v", text, in)
		}
		for i, v := range p.Data.All() {
			var want, got any
			if v.Decode(&want) != nil {
				continue // a number that is too large
			}
			if err := in.Data.Value(i).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if !alike(want, got) {
				t.Fatalf("%v came back as %v", want, got)
			}
		}
	})
}

// alike compares what was decoded; integers of more than 53 bits keep those bits on one way and not on the other.
func alike(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !alike(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if !alike(a[k], b[k]) {
				return false
			}
		}
		return true
	}
	return a == b
}
