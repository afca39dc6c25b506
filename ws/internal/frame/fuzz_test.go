package frame

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"baro.dev/internal/mask"
)

// A parser fed in pieces says what one fed whole says: the same parts, and the same error.
func FuzzParser(f *testing.F) {
	f.Add(encode(true, data(Text, "Hello"), data(Ping, "p"), data(Close, "\x03\xe8")), byte(1), uint64(1))
	f.Add(encode(false, fragment(Binary, "a"), data(Pong, ""), fragment(Continuation, ""), data(Continuation, "b")), byte(0), uint64(2))
	f.Add(stream(false)[:1000], byte(2), uint64(3))
	f.Fuzz(func(t *testing.T, input []byte, kind byte, seed uint64) {
		rules := &Rules{}
		if kind&4 != 0 {
			rules = &Rules{MaxMessage: 1000, MaxFragments: 5}
		}
		server, deflate := kind&1 != 0, kind&2 != 0
		whole, pieces := new(Parser), new(Parser)
		whole.Init(rules, server, deflate)
		pieces.Init(rules, server, deflate)

		want, wantErr := feed(t, whole, input)
		random := rand.New(rand.NewPCG(seed, 0))
		var chunks [][]byte
		for rest := input; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			if random.IntN(2) == 0 {
				n = min(n, 1+random.IntN(20))
			}
			chunks = append(chunks, rest[:n])
			rest = rest[n:]
		}
		got, err := feed(t, pieces, chunks...)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("in pieces %v, whole %v", err, wantErr)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pieces %v, whole %v", got, want)
		}
		if err == nil && (pieces.Remaining() != whole.Remaining() || pieces.Within() != whole.Within()) {
			t.Fatalf("in pieces %d bytes remain, within %v; whole %d, %v",
				pieces.Remaining(), pieces.Within(), whole.Remaining(), whole.Within())
		}
		total := 0
		for _, p := range want {
			total += len(p.payload)
		}
		if total > len(input) {
			t.Fatalf("%d bytes of payload from %d of input", total, len(input))
		}
		if c := code(t, err); err != nil && c != 1002 && c != 1008 && c != 1009 {
			t.Fatalf("code %d", c)
		}
	})
}

// What is encoded is parsed again as it was.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("Hello"), byte(1), uint32(0x3d21fa37), uint16(2))
	f.Add(bytes.Repeat([]byte("0123456789"), 13), byte(6), uint32(0), uint16(126))
	f.Add([]byte(""), byte(9), uint32(1), uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, kind byte, key uint32, cut uint16) {
		masked, compressed := kind&1 != 0, kind&4 != 0
		opcode := Text
		if kind&2 != 0 {
			opcode = Binary
		}
		at := min(int(cut), len(payload))
		control := payload[:min(at, MaxControlPayload)]

		// A message of two fragments with a ping between them.
		var wire []byte
		add := func(h Header, p []byte) {
			h.Masked, h.Key, h.Length = masked, key, len(p)
			wire = append(h.Append(wire), p...)
			if masked {
				mask.XOR(wire[len(wire)-len(p):], key)
			}
		}
		add(Header{Opcode: opcode, Compressed: compressed}, payload[:at])
		add(Header{Opcode: Ping, Fin: true}, control)
		add(Header{Opcode: Continuation, Fin: true}, payload[at:])

		got, err := feed(t, newParser(masked, true), wire)
		want := []part{
			{opcode, string(payload[:at]), true, false, compressed},
			{Ping, string(control), true, true, false},
			{opcode, string(payload[at:]), false, true, compressed},
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
		// The other role refuses it.
		if _, err := feed(t, newParser(!masked, true), wire); code(t, err) != 1002 {
			t.Fatalf("masked %v and accepted by the wrong side: %v", masked, err)
		}
	})
}
