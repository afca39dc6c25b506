package frame

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// A part is what a parser said of one message or control frame, its pieces joined. A message that a control frame
// interrupts makes a part before and a part after it.
type part struct {
	opcode     Opcode
	payload    string
	start, end bool
	compressed bool
}

func (p part) String() string {
	s := fmt.Sprintf("%v %q", p.opcode, p.payload)
	if p.compressed {
		s += " compressed"
	}
	if !p.start {
		s = "..." + s
	}
	if !p.end {
		s += "..."
	}
	return s
}

// feed gives the parser chunks of input, each in memory of its own, and joins what it says.
func feed(t testing.TB, p *Parser, chunks ...[]byte) (parts []part, err error) {
	t.Helper()
	for _, chunk := range chunks {
		b := bytes.Clone(chunk)
		for len(b) > 0 {
			ev, n, err := p.Next(b)
			if n > len(b) || n < 0 || n == 0 && ev.None && err == nil {
				t.Fatalf("%d of %d bytes consumed: %+v", n, len(b), ev)
			}
			if err != nil {
				return parts, err
			}
			if !ev.None {
				parts = join(t, parts, ev, b[:n])
			} else if n != len(b) {
				t.Fatalf("no event, and %d of %d bytes consumed", n, len(b))
			}
			b = b[n:]
		}
	}
	return parts, nil
}

func join(t testing.TB, parts []part, ev Event, consumed []byte) []part {
	t.Helper()
	if n := len(ev.Payload); n > 0 && &consumed[len(consumed)-n] != &ev.Payload[0] {
		t.Fatalf("the payload %q is not at the end of what was consumed", ev.Payload)
	}
	if last := len(parts) - 1; last >= 0 && !ev.Start && !parts[last].end && parts[last].opcode == ev.Opcode {
		if parts[last].compressed != ev.Compressed {
			t.Fatalf("a piece of %v that is compressed: %v", parts[last], ev.Compressed)
		}
		parts[last].payload += string(ev.Payload)
		parts[last].end = ev.End
		return parts
	}
	return append(parts, part{ev.Opcode, string(ev.Payload), ev.Start, ev.End, ev.Compressed})
}

func newParser(server, deflate bool) *Parser {
	p := new(Parser)
	p.Init(&Rules{}, server, deflate)
	return p
}

// roles are the two sides, by what they demand of what comes: whether it is masked.
var roles = map[string]bool{"server": true, "client": false}

// Streams of frames and what is in them. RFC 6455 5.4: a message may come in fragments, control frames between them.
func TestParser(t *testing.T) {
	compressed := fragment(Text, "\xf2\x48\xcd")
	compressed.rsv = 0x40
	for _, test := range []struct {
		name   string
		frames []testFrame
		want   string
	}{
		{"nothing", nil, ""},
		{"text", []testFrame{data(Text, "Hello")}, `text "Hello"`},
		{"binary", []testFrame{data(Binary, "\x00\xff")}, `binary "\x00\xff"`},
		{"empty", []testFrame{data(Text, ""), data(Binary, "")}, `text "" binary ""`},
		{"fragments", []testFrame{fragment(Text, "Hel"), data(Continuation, "lo")}, `text "Hello"`},
		{"empty fragments", []testFrame{fragment(Text, ""), fragment(Continuation, ""), data(Continuation, "")}, `text ""`},
		{"control frames", []testFrame{data(Ping, "p"), data(Pong, ""), data(Close, "\x03\xe8bye")}, `ping "p" pong "" close "\x03\xe8bye"`},
		{
			"control frames inside a message",
			[]testFrame{fragment(Binary, "a"), data(Ping, "1"), data(Pong, "2"), fragment(Continuation, "b"), data(Close, ""), data(Continuation, "c")},
			`binary "a"... ping "1" pong "2" ...binary "b"... close "" ...binary "c"`,
		},
		{"a control frame before the first byte", []testFrame{fragment(Text, ""), data(Ping, ""), data(Continuation, "x")}, `text ""... ping "" ...text "x"`},
		{"compressed", []testFrame{compressed, data(Ping, "."), data(Continuation, "\xc9\xc9\x07\x00"), data(Text, "plain")}, `text "\xf2H\xcd" compressed... ping "." ...text "\xc9\xc9\a\x00" compressed text "plain"`},
		{"125 bytes", []testFrame{data(Ping, strings.Repeat("x", 125)), data(Text, strings.Repeat("y", 125))}, fmt.Sprintf("ping %q text %q", strings.Repeat("x", 125), strings.Repeat("y", 125))},
		{"126 bytes", []testFrame{data(Binary, strings.Repeat("x", 126)), data(Text, "y")}, fmt.Sprintf("binary %q text \"y\"", strings.Repeat("x", 126))},
	} {
		for role, server := range roles {
			b := encode(server, test.frames...)
			check := func(how string, chunks ...[]byte) {
				t.Helper()
				p := newParser(server, true)
				parts, err := feed(t, p, chunks...)
				if got := strings.Trim(fmt.Sprint(parts), "[]"); err != nil || got != test.want {
					t.Errorf("%s, %s, %s: %s, %v; want %s", test.name, role, how, got, err, test.want)
				}
				if p.Within() {
					t.Errorf("%s, %s, %s: within a frame or message at the end", test.name, role, how)
				}
			}
			check("whole", b)
			for i := range b {
				check(fmt.Sprintf("cut at %d", i), b[:i], b[i:])
			}
			var single [][]byte
			for i := range b {
				single = append(single, b[i:i+1])
			}
			check("byte by byte", single...)
		}
	}
}

// Payloads around which the encoding of the length changes, cut at every byte of the header and around the ends.
func TestLengths(t *testing.T) {
	for _, size := range []int{0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 1 << 20} {
		payload := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for role, server := range roles {
			b := encode(server, data(Binary, payload), data(Text, "after"))
			want := []part{{Binary, payload, true, true, false}, {Text, "after", true, true, false}}
			cuts := []int{len(b) - 8, len(b) - 7, len(b) - 1}
			for i := range min(MaxHeaderSize+2, len(b)) {
				cuts = append(cuts, i)
			}
			for _, i := range cuts {
				if got, err := feed(t, newParser(server, false), b[:i], b[i:]); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%s, %d bytes cut at %d: %v", role, size, i, err)
				}
			}
		}
	}
}

// code returns the close code that an error asks for.
func code(t testing.TB, err error) uint16 {
	t.Helper()
	if err == nil {
		return 0
	}
	var fe *Error
	if !errors.As(err, &fe) {
		t.Fatalf("error %v is not an *Error", err)
	}
	if fe.Reason == "" || len(fe.Reason) > MaxControlPayload-2 || fe.Error() != "ws: "+fe.Reason {
		t.Errorf("reason %q does not fit a close frame", fe.Reason)
	}
	return fe.Code
}

// verdicts says, from the text of RFC 6455 5.2, 5.4, 5.5 and RFC 7692 6 alone, whether the first byte of a frame is
// allowed, and whether the second is behind it.
func verdicts(first, second byte, server, deflate, within bool) (ok1, ok2 bool) {
	fin, opcode := first&0x80 != 0, first&0x0f
	switch opcode {
	case 0: // MUST continue a message that has begun
		ok1 = within
	case 1, 2: // MUST NOT be inside another message
		ok1 = !within
	case 8, 9, 10: // MUST NOT be fragmented
		ok1 = fin
	}
	if rsv := first & 0x70; rsv != 0 && (rsv != 0x40 || !deflate || opcode != 1 && opcode != 2) {
		ok1 = false
	}
	ok2 = (second&0x80 != 0) == server
	if opcode >= 8 && second&0x7f > 125 {
		ok2 = false
	}
	return ok1, ok2
}

// Every first two bytes there are, in every state, for every kind of connection; refused as soon as the byte is there.
func TestFirstTwoBytes(t *testing.T) {
	rest := make([]byte, MaxHeaderSize-2)
	for role, server := range roles {
		for _, deflate := range []bool{false, true} {
			for _, within := range []bool{false, true} {
				ready := newParser(server, deflate)
				if within {
					if _, err := feed(t, ready, encode(server, fragment(Text, "x"))); err != nil {
						t.Fatal(err)
					}
				}
				for n := range 1 << 16 {
					first, second := byte(n>>8), byte(n)
					ok1, ok2 := verdicts(first, second, server, deflate, within)
					var err error
					if p := *ready; ok1 || second == 0 {
						_, _, err = p.Next([]byte{first})
						if (err == nil) != ok1 {
							t.Fatalf("%s, deflate %v, within %v: first byte %02x: %v", role, deflate, within, first, err)
						}
						if ok1 {
							_, _, err = p.Next([]byte{second})
							if (err == nil) != ok2 {
								t.Fatalf("%s, deflate %v, within %v: %02x %02x: %v", role, deflate, within, first, second, err)
							}
						}
					}
					if ok1 && ok2 {
						continue
					}
					// The same with the whole header in hand.
					whole := *ready
					_, _, again := whole.Next(append([]byte{first, second}, rest...))
					if code(t, again) != 1002 || err != nil && again.Error() != err.Error() {
						t.Fatalf("%02x %02x: %v in pieces, %v whole", first, second, err, again)
					}
				}
			}
		}
	}
}

// RFC 6455 5.2: the minimal number of bytes MUST be used to encode the length, and the most significant bit MUST be 0.
func TestBadLengths(t *testing.T) {
	for _, test := range []struct {
		size   int
		length uint64
		code   uint16
	}{
		{2, 1, 1002}, {2, 125, 1002}, {2, 126, 0}, {2, 65535, 0},
		{8, 1, 1002}, {8, 125, 1002}, {8, 126, 1002}, {8, 65535, 1002}, {8, 65536, 0},
		{8, 1 << 31, 0}, {8, 1<<32 - 1, 0}, {8, 1 << 32, 0}, {8, 1<<63 - 1, 0},
		{8, 1 << 63, 1002}, {8, 1<<63 + 5, 1002}, {8, 1<<64 - 1, 1002},
	} {
		for role, server := range roles {
			f := data(Binary, "")
			f.size, f.length = test.size, test.length
			b := encode(server, f)
			for cut := range b {
				p := newParser(server, false)
				_, err := feed(t, p, b[:cut], b[cut:])
				if got := code(t, err); got != test.code {
					t.Errorf("%s: length %d in %d bytes, cut at %d: %v", role, test.length, test.size, cut, err)
				}
				if err == nil && p.Remaining() != int64(test.length) {
					t.Errorf("%s: %d bytes remain, %d announced", role, p.Remaining(), test.length)
				}
			}
		}
	}
	for role, server := range roles { // a length of zero in two or eight bytes
		for _, b := range []string{"\x82\x7e\x00\x00", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x00"} {
			raw := []byte(b)
			if server {
				raw[1] |= 0x80
				raw = append(raw, 1, 2, 3, 4)
			}
			if _, err := feed(t, newParser(server, false), raw); code(t, err) != 1002 {
				t.Errorf("%s: % x: %v", role, raw, err)
			}
		}
	}
}

// Limits hold when a length is announced, before a byte of the payload has come.
func TestLimits(t *testing.T) {
	announce := func(f testFrame, length uint64) testFrame {
		f.length = length
		return f
	}
	packed := func(f testFrame) testFrame {
		f.rsv = 0x40
		return f
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	const none = math.MaxInt64
	for _, test := range []struct {
		name      string
		message   int64
		fragments int
		frames    []testFrame
		code      uint16
	}{
		{"at the size", 10, 0, []testFrame{data(Binary, x(10)), data(Text, x(10))}, 0},
		{"one more", 10, 0, []testFrame{announce(data(Binary, ""), 11)}, 1009},
		{"2^63-1", 10, 0, []testFrame{announce(data(Binary, ""), none)}, 1009},
		{"2^63-1, without a limit", 0, 0, []testFrame{announce(data(Binary, ""), none)}, 0},
		{"together more than 2^63-1", 0, 0, []testFrame{fragment(Binary, "x"), announce(data(Continuation, ""), none)}, 1009},
		{"together the size", 10, 0, []testFrame{fragment(Binary, x(4)), fragment(Continuation, x(4)), data(Continuation, x(2))}, 0},
		{"together one more", 10, 0, []testFrame{fragment(Binary, x(4)), fragment(Continuation, x(4)), announce(data(Continuation, ""), 3)}, 1009},
		{"together 2^63", 10, 0, []testFrame{fragment(Binary, x(10)), announce(data(Continuation, ""), none)}, 1009},
		{"a limit of 2^63-1", none, 0, []testFrame{fragment(Binary, "x"), announce(data(Continuation, ""), none-1)}, 0},
		{"more than a limit of 2^63-1", none, 0, []testFrame{fragment(Binary, "x"), announce(data(Continuation, ""), none)}, 1009},
		{"the next message counts anew", 10, 0, []testFrame{data(Binary, x(10)), fragment(Binary, x(9)), data(Continuation, "x")}, 0},
		{"control frames do not count", 10, 3, []testFrame{fragment(Binary, x(5)), data(Ping, x(125)), data(Pong, x(125)), data(Continuation, x(5))}, 0},
		{"compressed may take more", 10, 0, []testFrame{packed(announce(data(Binary, ""), 74))}, 0},
		{"compressed, but not any size", 10, 0, []testFrame{packed(announce(data(Binary, ""), 75))}, 1009},
		{"compressed 2^63-1", 10, 0, []testFrame{packed(announce(data(Binary, ""), none))}, 1009},
		{"compressed, a limit of 2^63-1", none, 0, []testFrame{packed(announce(data(Binary, ""), none))}, 0},
		{"as many fragments", 0, 3, []testFrame{fragment(Text, ""), fragment(Continuation, ""), data(Continuation, "")}, 0},
		{"one fragment more", 0, 3, []testFrame{fragment(Text, ""), fragment(Continuation, ""), fragment(Continuation, ""), fragment(Continuation, "")}, 1008},
		{"fragments are counted anew", 0, 2, []testFrame{fragment(Text, ""), data(Continuation, ""), fragment(Text, ""), data(Continuation, "")}, 0},
		{"one fragment is a whole message", 0, 1, []testFrame{data(Text, ""), data(Text, "")}, 0},
	} {
		for role, server := range roles {
			b := encode(server, test.frames...)
			for cut := range b {
				p := new(Parser)
				p.Init(&Rules{MaxMessage: test.message, MaxFragments: test.fragments}, server, true)
				if _, err := feed(t, p, b[:cut], b[cut:]); code(t, err) != test.code {
					t.Errorf("%s, %s, cut at %d: %v; want %d", test.name, role, cut, err, test.code)
				}
			}
		}
	}
}

func TestRemainingWithin(t *testing.T) {
	for role, server := range roles {
		p := newParser(server, false)
		for _, step := range []struct {
			frame     testFrame
			remaining int64
			within    bool
		}{
			{data(Text, "abc"), 0, false},
			{fragment(Binary, "abc"), 0, true},
			{testFrame{opcode: Ping, length: 100, payload: "p", key: 1, size: -1}, 0, true},
		} {
			if _, err := feed(t, p, encode(server, step.frame)); err != nil {
				t.Fatal(err)
			}
			if p.Remaining() != step.remaining || p.Within() != step.within {
				t.Errorf("%s: after %v: %d bytes remain, within %v", role, step.frame, p.Remaining(), p.Within())
			}
		}

		p = newParser(server, false)
		b := encode(server, data(Binary, strings.Repeat("x", 200)))
		header := len(b) - 200
		for i := range b {
			if _, err := feed(t, p, b[i:i+1]); err != nil {
				t.Fatal(err)
			}
			var want int64
			if i+1 >= header {
				want = int64(len(b) - i - 1)
			}
			if p.Remaining() != want || p.Within() != (i+1 < len(b)) {
				t.Errorf("%s: after %d of %d bytes: %d bytes remain, within %v", role, i+1, len(b), p.Remaining(), p.Within())
			}
		}
	}
}

// An empty slice says nothing, wherever the parser is.
func TestNothing(t *testing.T) {
	p := newParser(true, false)
	for _, b := range encode(true, data(Text, "abc"), fragment(Text, ""), data(Ping, "p")) {
		before := *p
		if ev, n, err := p.Next(nil); !ev.None || n != 0 || err != nil || *p != before {
			t.Fatalf("%+v, %d, %v", ev, n, err)
		}
		if _, err := feed(t, p, []byte{b}); err != nil {
			t.Fatal(err)
		}
	}
}

// stream is a mix of frames such as connections carry.
func stream(server bool) []byte {
	return encode(server,
		data(Text, "Hello"), fragment(Binary, strings.Repeat("x", 300)), data(Ping, "ping"), data(Continuation, "y"),
		data(Binary, strings.Repeat("z", 70_000)), data(Pong, ""))
}

func parse(p *Parser, b []byte) (events int, err error) {
	for len(b) > 0 {
		ev, n, err := p.Next(b)
		if err != nil {
			return events, err
		}
		if !ev.None {
			events++
		}
		b = b[n:]
	}
	return events, nil
}

func TestParserAllocates(t *testing.T) {
	for role, server := range roles {
		p := newParser(server, false)
		b := stream(server)
		for _, size := range []int{1, 7, 4096, len(b)} {
			if n := testing.AllocsPerRun(10, func() {
				for rest := b; len(rest) > 0; {
					chunk := rest[:min(size, len(rest))]
					rest = rest[len(chunk):]
					if _, err := parse(p, chunk); err != nil {
						t.Fatal(err)
					}
				}
			}); n != 0 {
				t.Errorf("%s, %d bytes at a time: %v allocations", role, size, n)
			}
		}
	}
}

func BenchmarkParser(b *testing.B) {
	for role, server := range roles {
		for _, size := range []int{16, 128, 1024, 16 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/%d", role, size), func(b *testing.B) {
				in := encode(server, data(Binary, strings.Repeat("x", size)))
				p := newParser(server, false)
				b.SetBytes(int64(len(in)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := parse(p, in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("server/coalesced", func(b *testing.B) { // as many small frames as one read brings
		var in []byte
		for range 500 {
			in = append(in, encode(true, data(Text, "a short message in a frame"))...)
		}
		p := newParser(true, false)
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			if n, err := parse(p, in); err != nil || n != 500 {
				b.Fatal(n, err)
			}
		}
	})
}
