package deflate

import (
	"bytes"
	"fmt"
	"testing"
)

// Whatever pieces a message is written in, the receiver gets it whole, and no reference goes beyond its window.
func TestWriter(t *testing.T) {
	for _, level := range []int{-2, -1, 0, 1, 2, 9} {
		for _, bits := range []int{8, 9, 12, 15} {
			for _, takeover := range []bool{false, true} {
				t.Run(fmt.Sprintf("level %d, bits %d, takeover %v", level, bits, takeover), func(t *testing.T) {
					t.Parallel()
					testWriter(t, level, bits, takeover)
				})
			}
		}
	}
}

func testWriter(t *testing.T, level, bits int, takeover bool) {
	var send, receive *Window
	if takeover {
		send, receive = NewWindow(min(bits, DefaultSendWindowBits)), NewWindow(bits)
	}
	r := newRand()
	for i, message := range series() {
		if len(message) > 10_000 && i%4 > 0 {
			continue
		}
		if r.IntN(5) == 0 {
			// A message that is all there may come between.
			whole := Compress(nil, message, level, bits, send)
			if got, err := Decompress(nil, whole, noLimit, bits, receive); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %d, whole: %d of %d bytes, %v", i, len(got), len(message), err)
			}
		}
		history := held(receive)
		w := NewWriter(level, bits, send)
		compressed := []byte("before")
		for rest := message; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(3000))
			compressed = w.Append(compressed, rest[:n])
			rest = rest[n:]
			if r.IntN(4) == 0 {
				compressed = w.Flush(compressed)
			}
		}
		compressed = w.Finish(compressed)
		w.Discard()
		compressed, ok := bytes.CutPrefix(compressed, []byte("before"))
		if !ok {
			t.Fatal("what was in dst is not there any more")
		}
		got, err := Decompress(nil, compressed, noLimit, bits, receive)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d: %d of %d bytes, %v", i, len(got), len(message), err)
		}
		got, err = standard(compressed, history)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("message %d, by compress/flate: %d of %d bytes, %v", i, len(got), len(message), err)
		}
		if takeover && min(bits, DefaultSendWindowBits) == bits && !bytes.Equal(held(send), held(receive)) {
			t.Fatalf("message %d: the windows differ", i)
		}
	}
}

// The RFC's two blocks of 7.2.3.5 are what a Flush in the middle makes.
func TestWriterRFC(t *testing.T) {
	w := NewWriter(1, 15, nil)
	got := w.Finish(w.Append(w.Flush(w.Append(nil, []byte("He"))), []byte("llo")))
	if !bytes.Contains(got, tail) {
		t.Errorf("%x: no flush in the middle", got)
	}
	if message, err := Decompress(nil, got, noLimit, 15, nil); string(message) != "Hello" || err != nil {
		t.Errorf("%x: %q, %v", got, message, err)
	}
	if got := NewWriter(1, 15, nil).Finish(nil); !bytes.Equal(got, []byte{0}) {
		t.Errorf("an empty message is %x, want 00", got)
	}
}

// A message given up leaves nothing to the next one.
func TestWriterDiscard(t *testing.T) {
	for range 10 {
		w := NewWriter(1, 15, nil)
		w.Append(nil, []byte("a secret that nobody else must see, or refer to"))
		w.Discard()
		w.Discard()
		got := NewWriter(1, 15, nil).Finish(nil)
		if !bytes.Equal(got, []byte{0}) {
			t.Fatalf("%x", got)
		}
	}
}
