package msgpack_test

import (
	"testing"

	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

type chat struct {
	User string `json:"user"`
	Text string `json:"text"`
	At   int64  `json:"at"`
}

// What the packet itself costs; what encoding/json takes for an argument comes on top.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets on purpose")
	}
	var dst [1]parser.Message
	p := event("message", "hello", 7)
	wire := encode(t, msgpack.Codec, &p)
	in, received := decode(t, wire), new(parser.Packet)
	d := msgpack.Codec.NewDecoder(nil)
	for _, test := range []struct {
		what string
		want float64
		f    func()
	}{
		{"encode", 3, func() { _, _ = msgpack.Codec.Encode(dst[:0], nil, &p) }},
		{"relay", 1, func() { _, _ = msgpack.Codec.Encode(dst[:0], nil, in) }},
		{"decode", 1, func() { _, _ = d.Add(received, true, wire) }},
	} {
		if got := testing.AllocsPerRun(1000, test.f); got > test.want {
			t.Errorf("%s: %v allocations, want %v", test.what, got, test.want)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	hello := event("message", chat{"ada", "hello, world", 1_764_000_000_000})
	scalars := event("message", "hello", 7)
	for name, p := range map[string]*parser.Packet{
		"struct": &hello, "scalars": &scalars, "relayed": decode(b, encode(b, msgpack.Codec, &hello)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var dst [1]parser.Message
			for b.Loop() {
				if _, err := msgpack.Codec.Encode(dst[:0], nil, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	p := event("message", chat{"ada", "hello, world", 1_764_000_000_000})
	wire := encode(b, msgpack.Codec, &p)
	d, received := msgpack.Codec.NewDecoder(nil), new(parser.Packet)
	b.Run("event", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Add(received, true, wire); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bind a struct", func(b *testing.B) {
		b.ReportAllocs()
		in := decode(b, wire)
		var c chat
		for b.Loop() {
			if err := in.Data.Bind(&c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
