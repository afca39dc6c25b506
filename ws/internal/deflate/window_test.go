package deflate

import (
	"bytes"
	"testing"
)

// The window is what the messages so far end in, however they were split, and never more than its size.
func TestWindow(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		r := newRand()
		w := NewWindow(bits)
		if cap(w.Bytes()) != 0 {
			t.Errorf("bits %d: %d bytes before the first write", bits, cap(w.Bytes()))
		}
		var all []byte
		size := 1 << bits
		for i := range 500 {
			p := randomBytes(r, []int{0, 1, r.IntN(64), r.IntN(size), size - 1, size, size + 1, r.IntN(3 * size)}[r.IntN(8)])
			w.Write(p)
			all = append(all, p...)
			all = all[max(0, len(all)-size):]
			if !bytes.Equal(w.Bytes(), all) {
				t.Fatalf("bits %d: write %d: the window is not the last bytes written", bits, i)
			}
			if cap(w.Bytes()) > size {
				t.Fatalf("bits %d: %d bytes allocated", bits, cap(w.Bytes()))
			}
		}
	}
}

func TestWindowGrowsAsItFills(t *testing.T) {
	w := NewWindow(15)
	w.Write(make([]byte, 100))
	if got := cap(w.Bytes()); got > 200 {
		t.Errorf("%d bytes allocated for 100", got)
	}
}

func TestWindowBitsOutOfRange(t *testing.T) {
	for bits, want := range map[int]int{-1: 256, 0: 256, 7: 256, 8: 256, 15: 32768, 16: 32768, 99: 32768} {
		w := NewWindow(bits)
		w.Write(make([]byte, 100_000))
		if got := len(w.Bytes()); got != want {
			t.Errorf("bits %d: window of %d bytes, want %d", bits, got, want)
		}
	}
}
