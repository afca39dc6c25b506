package utf8stream

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
	"unsafe"
)

// open holds every proper prefix of the encoding of every character: what
// valid text may break off with. It is built from the encoder of unicode/utf8
// and shares nothing with the automaton.
type open [4]map[uint32]bool

func newOpen() open {
	o := open{1: {}, 2: {}, 3: {}}
	var p [utf8.UTFMax]byte
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		for n := utf8.EncodeRune(p[:], r) - 1; n > 0 && !o[n][pack(p[:n])]; n-- {
			o[n][pack(p[:n])] = true
		}
	}
	return o
}

func pack(p []byte) (n uint32) {
	for _, c := range p {
		n = n<<8 | uint32(c)
	}
	return n
}

func (o open) has(p []byte) bool { return len(p) < 4 && o[len(p)][pack(p)] }

// firstBad returns the index of the first byte of p that cannot continue valid
// UTF-8, or -1, and whether p ends between characters.
func (o open) firstBad(p []byte) (bad int, whole bool) {
	for i := 0; i < len(p); {
		if r, size := utf8.DecodeRune(p[i:]); r != utf8.RuneError || size > 1 {
			i += size
			continue
		}
		n := 1
		for o.has(p[i : i+n]) {
			if n++; i+n > len(p) {
				return -1, false
			}
		}
		return i + n - 1, false
	}
	return -1, true
}

func TestFailsAtTheFirstBadByte(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		bad         int // -1: none
	}{
		{"overlong of two bytes, C0", "\xc0\x80", 0},
		{"overlong of two bytes, C1", "\xc1\xbf", 0},
		{"overlong of three bytes", "\xe0\x80\x80", 1},
		{"overlong of three bytes, last", "\xe0\x9f\xbf", 1},
		{"first of three bytes", "\xe0\xa0\x80", -1},
		{"last before the surrogates", "\xed\x9f\xbf", -1},
		{"first surrogate", "\xed\xa0\x80", 1},
		{"last surrogate", "\xed\xbf\xbf", 1},
		{"first after the surrogates", "\xee\x80\x80", -1},
		{"non-character U+FFFF", "\xef\xbf\xbf", -1},
		{"overlong of four bytes", "\xf0\x80\x80\x80", 1},
		{"overlong of four bytes, last", "\xf0\x8f\xbf\xbf", 1},
		{"first of four bytes", "\xf0\x90\x80\x80", -1},
		{"U+10FFFF", "\xf4\x8f\xbf\xbf", -1},
		{"U+110000", "\xf4\x90\x80\x80", 1},
		{"F5", "\xf5\x80\x80\x80", 0},
		{"five bytes", "\xf8\x88\x80\x80\x80", 0},
		{"six bytes", "\xfc\x84\x80\x80\x80\x80", 0},
		{"FE", "\xfe", 0},
		{"FF", "\xff", 0},
		{"tail without a lead", "\x80", 0},
		{"tail after a character", "\xc3\xa4\x80", 2},
		{"lead within a character", "\xe3\x81\xe3", 2},
		{"ASCII within a character", "\xf0\x9f\x98a", 3},
		{"NUL", "\x00", -1},
		{"byte order mark", "\xef\xbb\xbf", -1},
		{"Greek, then a surrogate", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v Validator
			for i := range len(c.bytes) {
				want := c.bad < 0 || i < c.bad
				if got := v.Valid([]byte{c.bytes[i]}); got != want {
					t.Fatalf("byte %d, %#02x: %v, want %v", i, c.bytes[i], got, want)
				}
			}
			if v.Complete() != (c.bad < 0) {
				t.Fatalf("complete is %v", v.Complete())
			}
			if c.bad < 0 {
				return
			}
			if v.Valid(nil) || v.Valid([]byte("a")) || v.Valid([]byte("plain ASCII, longer than a word")) || v.Complete() {
				t.Fatal("a bad stream became good again")
			}
			v.Reset()
			if !v.Complete() || !v.Valid([]byte("ä")) || !v.Complete() {
				t.Fatal("Reset did not make it ready")
			}
		})
	}
}

// TestEverySequence checks on all sequences of one, two and three bytes, and on
// all of four that begin like a character of four, that a sequence is accepted
// just when some valid text begins with it.
func TestEverySequence(t *testing.T) {
	o := newOpen()
	check := func(v Validator, p []byte) (Validator, bool) {
		got := v.Valid(p[len(p)-1:])
		if bad, whole := o.firstBad(p); got != (bad < 0) || v.Complete() != whole {
			t.Fatalf("% x: %v, complete %v; want %v, %v", p, got, v.Complete(), bad < 0, whole)
		}
		return v, got
	}
	var p [4]byte
	for a := range 256 {
		p[0] = byte(a)
		one, good := check(Validator{}, p[:1])
		if !good {
			continue // TestBadStaysBad covers what follows
		}
		for b := range 256 {
			p[1] = byte(b)
			two, good := check(one, p[:2])
			if !good {
				continue
			}
			for c := range 256 {
				p[2] = byte(c)
				three, _ := check(two, p[:3])
				if !o.has(p[:3]) {
					continue
				}
				for d := range 256 {
					p[3] = byte(d)
					check(three, p[:])
				}
			}
		}
	}
}

// TestBadStaysBad checks that no byte leads out of the bad state.
func TestBadStaysBad(t *testing.T) {
	var v Validator
	v.Valid([]byte{0xff})
	for c := range 256 {
		if v.Valid([]byte{byte(c)}) || v.Complete() {
			t.Fatalf("%#02x made a bad stream good", c)
		}
	}
}

// TestEveryCharacterAtEveryPlace puts each character, and each with one byte
// damaged, at every place of a word, cut at every byte.
func TestEveryCharacterAtEveryPlace(t *testing.T) {
	o := newOpen()
	for r := rune(0); r <= utf8.MaxRune; r += 251 {
		for place := range 17 {
			p := bytes.Repeat([]byte{'a'}, 48)
			n := utf8.EncodeRune(p[place:], r)
			if r%2 == 1 {
				p[place+rand.IntN(n)] = byte(rand.Uint32())
			}
			bad, whole := o.firstBad(p)
			for cut := range place + n + 1 {
				var v Validator
				head := v.Valid(p[:cut])
				if want := bad < 0 || cut <= bad; head != want {
					t.Fatalf("% x cut at %d: %v, want %v", p, cut, head, want)
				}
				if got := v.Valid(p[cut:]); got != (bad < 0) || v.Complete() != whole {
					t.Fatalf("% x after the cut at %d: %v, complete %v; want %v, %v", p, cut, got, v.Complete(), bad < 0, whole)
				}
			}
		}
	}
}

func TestSmallAndWithoutAllocation(t *testing.T) {
	if n := unsafe.Sizeof(Validator{}); n > 8 {
		t.Errorf("a Validator takes %d bytes", n)
	}
	p := []byte("실시간 with ASCII in between, 메시지")
	var v Validator
	if n := testing.AllocsPerRun(100, func() { v.Valid(p) }); n != 0 {
		t.Errorf("Valid allocates %v times", n)
	}
}

func FuzzValidator(f *testing.F) {
	o := newOpen()
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		bad, whole := o.firstBad(p)
		if valid := utf8.Valid(p); valid != (bad < 0 && whole) {
			t.Fatalf("the model says bad at %d, whole %v; utf8.Valid says %v", bad, whole, valid)
		}
		var v Validator
		cuts := rand.New(rand.NewPCG(seed, 0))
		for from := 0; from < len(p); {
			to := min(len(p), from+cuts.IntN(1+cuts.IntN(40)))
			want := bad < 0 || to <= bad
			if got := v.Valid(p[from:to]); got != want {
				t.Fatalf("bytes %d to %d: %v, want %v", from, to, got, want)
			}
			from = to
		}
		if v.Complete() != whole {
			t.Fatalf("complete is %v, want %v", v.Complete(), whole)
		}
	})
}
