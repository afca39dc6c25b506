package deflate

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"testing"
)

func TestCompressRFC(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		for level := minLevel; level <= maxLevel; level++ {
			var w *Window
			if takeover {
				w = NewWindow(15)
			}
			// 7.2.3.6: "the endpoint MAY use 0x00 for an empty message".
			if got := Compress(nil, nil, level, 15, w); !bytes.Equal(got, []byte{0}) {
				t.Errorf("level %d: an empty message is %x, want 00", level, got)
			}
			first := Compress(nil, []byte("Hello"), level, 15, w)
			second := Compress(nil, []byte("Hello"), level, 15, w)
			if level <= 0 && level != -1 {
				continue
			}
			if want := unhex(t, "f2 48 cd c9 c9 07 00"); !bytes.Equal(first, want) {
				t.Errorf("level %d: the message of 7.2.3.1 is %x, want %x", level, first, want)
			}
			if want := unhex(t, "f2 00 11 00 00"); takeover && len(second) > len(want) {
				t.Errorf("level %d: the second message of 7.2.3.2 has %d bytes, want %d", level, len(second), len(want))
			}
		}
	}
}

// Whatever is compressed, with any level, window and history, comes out again, by the standard library and by Decompress; and
// no reference goes further back than the receiver's window (RFC 7692 7.1.2.1: a server that agreed to server_max_window_bits
// "doesn't use" a larger window).
func TestCompress(t *testing.T) {
	for level := minLevel; level <= maxLevel; level++ {
		for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
			for _, own := range []int{0, MinWindowBits, 12, MaxWindowBits} {
				if level != DefaultLevel && own != bits && bits != MaxWindowBits {
					continue
				}
				t.Run(fmt.Sprintf("level %d, bits %d, window %d", level, bits, own), func(t *testing.T) {
					t.Parallel()
					testCompress(t, level, bits, own)
				})
			}
		}
	}
}

func testCompress(t *testing.T, level, bits, own int) {
	var send, receive *Window
	if own > 0 {
		send, receive = NewWindow(own), NewWindow(bits)
	}
	for i, message := range series() {
		if (testing.Short() || raceEnabled) && (i+level+bits+own)%5 > 0 {
			continue
		}
		history := held(receive)
		compressed := Compress([]byte("before"), message, level, bits, send)
		compressed, ok := bytes.CutPrefix(compressed, []byte("before"))
		if !ok {
			t.Fatal("what was in dst is not there any more")
		}
		if len(compressed) > len(message)+len(message)/64+16 {
			t.Errorf("message %d: %d bytes became %d", i, len(message), len(compressed))
		}
		got, err := Decompress(nil, compressed, noLimit, bits, receive)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d: %d of %d bytes, %v", i, len(got), len(message), err)
		}
		got, err = standard(compressed, history)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d, by compress/flate: %d of %d bytes, %v", i, len(got), len(message), err)
		}
		if len(message) > 4<<bits || len(message) > 5000 {
			continue // the reference is slow
		}
		got, farthest, err := referenceInflate(compressed, history)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d, by the reference: %d of %d bytes, %v", i, len(got), len(message), err)
		}
		if farthest > 1<<bits {
			t.Fatalf("message %d refers %d bytes back, with bits %d", i, farthest, bits)
		}
	}
}

// With context takeover, repetition costs next to nothing, in short messages above all.
func TestCompressRatio(t *testing.T) {
	r := newRand()
	for _, test := range []struct {
		size     int
		takeover bool
		most     float64
	}{{60, false, 1.12}, {60, true, 0.45}, {120, true, 0.4}, {200, true, 0.45}, {1000, true, 0.4}, {4096, false, 0.36}, {4096, true, 0.32}} {
		var w *Window
		if test.takeover {
			w = NewWindow(DefaultSendWindowBits)
		}
		in, out := 0, 0
		for i := range 200 {
			text := jsonText(r, test.size)
			n := len(Compress(nil, text, DefaultLevel, 15, w))
			if i >= 20 {
				in, out = in+len(text), out+n
			}
		}
		if ratio := float64(out) / float64(in); ratio > test.most {
			t.Errorf("%d bytes, takeover %v: compressed to %.2f, want at most %.2f", test.size, test.takeover, ratio, test.most)
		}
	}
}

// The compressors of klauspost/compress number positions in 31 bits across all messages; nothing may happen when these run out.
func TestCompressForLong(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("70,000 messages")
	}
	r := newRand()
	text := jsonText(r, 200)
	want := Compress(nil, text, 1, 15, nil)
	var got []byte
	for i := range 70_000 {
		got = Compress(got[:0], text, 1, 15, nil)
		if !bytes.Equal(got, want) {
			t.Fatalf("message %d came out differently", i)
		}
	}
}

// Every length and distance that a short message can have.
func TestShortMatches(t *testing.T) {
	found, tried := 0, 0
	for n := shortestMatch; n < shortFollower; n++ {
		for _, dist := range []int{n, n + 1, 300, 1000, shortHistory - 1, shortHistory} {
			history := randomBytes(newRand(), dist)
			message := history[:min(n, dist)]
			window := NewWindow(15)
			window.Write(history)
			got, farthest, err := referenceInflate(compressShort(nil, message, window, 1<<15), history)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("%d bytes from %d back: %q, %v", n, dist, got, err)
			}
			tried++
			if farthest == dist {
				found++
			}
			if _, farthest, _ := referenceInflate(compressShort(nil, message, window, dist-1), history); farthest >= dist {
				t.Fatalf("%d bytes from %d back: beyond reach, and still found", n, dist)
			}
		}
	}
	if found < tried*8/10 {
		t.Errorf("%d of %d matches found", found, tried)
	}
}

// Compressing and decompressing allocate nothing, once the pools and windows are filled.
func TestAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it empties pools
	r := newRand()
	for _, size := range []int{0, 50, 1000, 70_000} {
		for _, bits := range []int{9, 15} {
			for _, takeover := range []bool{false, true} {
				text := jsonText(r, size)[:size]
				var send, receive *Window
				if takeover {
					send, receive = NewWindow(min(bits, DefaultSendWindowBits)), NewWindow(bits)
				}
				var compressed []byte
				out := make([]byte, 0, size)
				exchange := func() {
					compressed = Compress(compressed[:0], text, DefaultLevel, bits, send)
					got, err := Decompress(out, compressed, noLimit, bits, receive)
					if err != nil || len(got) != size {
						t.Fatal(err)
					}
				}
				for range 3 {
					exchange()
				}
				filler := make([]byte, 1<<MaxWindowBits)
				send.Write(filler)
				receive.Write(filler)
				// The race detector makes pools forget; once in a while they do not.
				least := testing.AllocsPerRun(1, exchange)
				for range 20 {
					least = min(least, testing.AllocsPerRun(1, exchange))
				}
				if least > 0 {
					t.Errorf("%d bytes, bits %d, takeover %v: %v allocations", size, bits, takeover, least)
				}
			}
		}
	}
}
