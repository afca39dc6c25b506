package deflate

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// Any input: the same as the references say, whole and in pieces, and the limit is kept.
func FuzzDecompress(f *testing.F) {
	r := newRand()
	for _, level := range []int{-2, 0, 1, 9} {
		f.Add(Compress(nil, jsonText(r, 300), level, 15, nil), []byte{}, uint8(15), uint64(300))
	}
	f.Add(unhex(f, "f2 00 11 00 00"), []byte("Hello"), uint8(8), uint64(4))
	f.Fuzz(func(t *testing.T, src, history []byte, bits uint8, seed uint64) {
		if len(src) > 1<<12 || len(history) > 1<<12 {
			return // the references are slow
		}
		bounded := clampBits(int(bits))
		limit := int64(1 << 20)
		window := NewWindow(MaxWindowBits)
		window.Write(history)
		got, err := Decompress(nil, src, limit, bounded, window)
		if errors.Is(err, ErrTooLarge) || len(got) > 1<<16 {
			return
		}
		compareInflaters(t, src, history, bounded)
		compareReader(t, src, bounded, rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			return
		}
		limit = int64(seed % uint64(len(got)+2))
		window = NewWindow(MaxWindowBits)
		window.Write(history)
		again, err := Decompress(nil, src, limit, bounded, window)
		if int64(len(got)) > limit {
			if !errors.Is(err, ErrTooLarge) || int64(cap(again)) > max(limit, 0) {
				t.Fatalf("limit %d of %d: %d bytes, %v", limit, len(got), cap(again), err)
			}
		} else if err != nil || !bytes.Equal(got, again) {
			t.Fatalf("limit %d of %d: %v", limit, len(got), err)
		}
	})
}

// Any series of messages, cut from data at random, compressed whole or in pieces, comes out again; with context takeover and
// without, at every level and window.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("Hello Hello Hello"), int8(1), uint8(15), true, uint64(1))
	f.Add(jsonText(newRand(), 2000), int8(9), uint8(9), true, uint64(2))
	f.Add(randomBytes(newRand(), 1000), int8(0), uint8(8), false, uint64(3))
	f.Fuzz(func(t *testing.T, data []byte, level int8, bits uint8, takeover bool, seed uint64) {
		if len(data) > 1<<16 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		bounded := clampBits(int(bits))
		var send, receive *Window
		if takeover {
			send, receive = NewWindow(MinWindowBits+r.IntN(bounded-MinWindowBits+1)), NewWindow(bounded)
		}
		for range 8 {
			from := r.IntN(len(data) + 1)
			message := data[from : from+r.IntN(len(data)-from+1)]
			history := held(receive)
			var compressed []byte
			if r.IntN(3) > 0 {
				compressed = Compress(nil, message, int(level), bounded, send)
			} else {
				w := NewWriter(int(level), bounded, send)
				for rest := message; len(rest) > 0; {
					n := 1 + r.IntN(len(rest))
					compressed = w.Append(compressed, rest[:n])
					rest = rest[n:]
					if r.IntN(3) == 0 {
						compressed = w.Flush(compressed)
					}
				}
				compressed = w.Finish(compressed)
			}
			got, err := Decompress(nil, compressed, int64(len(message)), bounded, receive)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d of %d bytes, %v", len(got), len(message), err)
			}
			got, err = standard(compressed, history)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("compress/flate: %d of %d bytes, %v", len(got), len(message), err)
			}
		}
	})
}
