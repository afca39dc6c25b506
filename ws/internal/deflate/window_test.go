package deflate

import (
	"bytes"
	"testing"
)

// held returns what a window holds, oldest first.
func held(w *Window) []byte { return w.appendLast(nil, 1<<MaxWindowBits) }

// The window is what the messages so far end in, however they were split, and never more than its size.
func TestWindow(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		r := newRand()
		w := NewWindow(bits)
		if cap(w.buf) != 0 {
			t.Errorf("bits %d: %d bytes before the first write", bits, cap(w.buf))
		}
		var all []byte
		size := 1 << bits
		for i := range 500 {
			p := randomBytes(r, []int{0, 1, r.IntN(64), r.IntN(size), size - 1, size, size + 1, r.IntN(3 * size)}[r.IntN(8)])
			w.Write(p)
			all = append(all, p...)
			all = all[max(0, len(all)-size):]
			if !bytes.Equal(held(w), all) {
				t.Fatalf("bits %d: write %d: the window is not the last bytes written", bits, i)
			}
			if n := r.IntN(size + 2); !bytes.Equal(w.appendLast(nil, n), all[max(0, len(all)-n):]) {
				t.Fatalf("bits %d: write %d: the last %d bytes are not the last", bits, i, n)
			}
			if n := r.IntN(len(all) + 1); n > 0 {
				p := make([]byte, r.IntN(size))
				if p = p[:w.copyLast(p, n)]; !bytes.HasPrefix(all[len(all)-n:], p) || len(p) < min(n, len(p)) {
					t.Fatalf("bits %d: write %d: a copy from %d back is wrong", bits, i, n)
				}
			}
			if cap(w.buf) > size {
				t.Fatalf("bits %d: %d bytes allocated", bits, cap(w.buf))
			}
		}
	}
}

func TestWindowGrowsAsItFills(t *testing.T) {
	w := NewWindow(15)
	w.Write(make([]byte, 100))
	if got := cap(w.buf); got > 200 {
		t.Errorf("%d bytes allocated for 100", got)
	}
}

func TestWindowBitsOutOfRange(t *testing.T) {
	for bits, want := range map[int]int{-1: 256, 0: 256, 7: 256, 8: 256, 15: 32768, 16: 32768, 99: 32768} {
		w := NewWindow(bits)
		w.Write(make([]byte, 100_000))
		if got := w.Len(); got != want {
			t.Errorf("bits %d: window of %d bytes, want %d", bits, got, want)
		}
	}
}
