package connection_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"baro.dev/internal/cli/connection"
)

// What is cut anywhere has the same events, and none is larger than permitted.
func FuzzEventParser(f *testing.F) {
	for _, s := range []string{
		"data: a\n\n", "\xef\xbb\xbfdata:a\r\rdata\n\n", "id: 1\nevent: x\ndata: a\ndata: b\r\n\r\n", "id: a\x00b\n:c\nretry: 10\nretry: x\ndata\n\n",
		"data: " + strings.Repeat("a", 100) + "\n\n", "\n\n\ndata: never",
	} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		const limit = 64
		all := func(step int) (events []string, failed bool, p *connection.EventParser) {
			p = &connection.EventParser{Max: limit}
			for rest := stream; len(rest) > 0; {
				n := min(step, len(rest))
				piece := rest[:n]
				rest = rest[n:]
				for {
					left, found, err := p.Next(piece)
					if err != nil {
						if !errors.Is(err, connection.ErrTooLarge) {
							t.Fatal(err)
						}
						return events, true, p
					}
					if !found {
						break
					}
					if len(p.Data) > limit {
						t.Fatalf("an event of %d bytes", len(p.Data))
					}
					events = append(events, p.ID+"|"+p.Name+"|"+string(p.Data))
					piece = left
				}
			}
			return events, false, p
		}
		if step < 1 || step > len(stream) {
			step = 1
		}
		whole, failedWhole, a := all(len(stream) + 1)
		pieces, failedPieces, b := all(step)
		if strings.Join(whole, "\n") != strings.Join(pieces, "\n") && !failedWhole && !failedPieces || !failedWhole && !failedPieces && (a.Retry != b.Retry || a.ID != b.ID) {
			t.Errorf("%q by %d: %q and %q", stream, step, whole, pieces)
		}
	})
}

// What is cut anywhere has the same frames.
func FuzzFrameReader(f *testing.F) {
	f.Add([]byte{0x81, 0x85, 1, 2, 3, 4, 'h' ^ 1, 'e' ^ 2, 'l' ^ 3, 'l' ^ 4, 'o' ^ 1, 0x88, 0}, 1)
	f.Add(append([]byte{0xc2, 126, 1, 44}, make([]byte, 300)...), 7)
	f.Add([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 'a'}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		all := func(step int) (frames []string) {
			r := &connection.FrameReader{OnFrame: func(f connection.Frame) {
				if int64(len(f.Payload)) != min(uint64AsInt(f.Length), connection.MaxExcerpt) {
					t.Fatalf("%d bytes of %d", len(f.Payload), f.Length)
				}
				if s := f.String(); strings.ContainsAny(s, "\x1b\n\x00") {
					t.Fatalf("%q", s)
				}
				frames = append(frames, f.String()[15:])
			}}
			for rest := bytes.Clone(stream); len(rest) > 0; {
				n := min(step, len(rest))
				r.Add(rest[:n])
				rest = rest[n:]
			}
			return frames
		}
		if step < 1 || step > len(stream) {
			step = 1
		}
		if whole, pieces := all(len(stream)+1), all(step); strings.Join(whole, "\n") != strings.Join(pieces, "\n") {
			t.Errorf("%x by %d: %q and %q", stream, step, whole, pieces)
		}
	})
}

// uint64AsInt is a length whose highest bit may be set.
func uint64AsInt(n int64) int64 {
	if n < 0 {
		return connection.MaxExcerpt
	}
	return n
}
