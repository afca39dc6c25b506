package deflate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const noLimit = 1 << 40

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stored returns a stored block (RFC 1951 3.2.4), for messages made by hand.
func stored(final bool, data string) []byte {
	b := []byte{0, byte(len(data)), byte(len(data) >> 8), ^byte(len(data)), ^byte(len(data) >> 8)}
	if final {
		b[0] = 1
	}
	return append(b, data...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestDecompress(t *testing.T) {
	window := func(s string) *Window {
		w := NewWindow(15)
		w.Write([]byte(s))
		return w
	}
	tests := []struct {
		name   string
		src    []byte
		window *Window
		want   string
		err    error
	}{
		{"RFC 7692 7.2.3.1", unhex(t, "f2 48 cd c9 c9 07 00"), nil, "Hello", nil},
		{"RFC 7692 7.2.3.2, second message", unhex(t, "f2 00 11 00 00"), window("Hello"), "Hello", nil},
		{"the same without the window", unhex(t, "f2 00 11 00 00"), nil, "", ErrCorrupt},
		{"the same with too little of it", unhex(t, "f2 00 11 00 00"), window("llo"), "", ErrCorrupt},
		{"RFC 7692 7.2.3.3, no compression", unhex(t, "00 05 00 fa ff 48 65 6c 6c 6f 00"), nil, "Hello", nil},
		{"RFC 7692 7.2.3.4, BFINAL", unhex(t, "f3 48 cd c9 c9 07 00 00"), nil, "Hello", nil},
		{"RFC 7692 7.2.3.5, two blocks", unhex(t, "f2 48 05 00 00 00 ff ff ca c9 c9 07 00"), nil, "Hello", nil},
		{"RFC 7692 7.2.3.6, empty", unhex(t, "00"), nil, "", nil},
		{"empty, final", unhex(t, "01"), nil, "", nil},
		{"empty, as a fixed block", unhex(t, "02 00"), nil, "", nil},

		// 7.2.1: "Multiple DEFLATE blocks with the "BFINAL" bit set to 1 may be used", the next beginning with a byte of
		// its own. 7.2.3.4 has the sender add 0x00 behind the last; who left it out meant the same.
		{"nothing behind a final block", unhex(t, "f3 48 cd c9 c9 07 00"), nil, "Hello", nil},
		{"a stored block behind a final one", join(unhex(t, "f3 48 cd c9 c9 07 00"), stored(false, "!"), []byte{0}), nil, "Hello!", nil},
		{"two final blocks", join(stored(true, "He"), stored(true, "llo")), nil, "Hello", nil},
		{"a reference across a final block", join(stored(true, "Hello"), unhex(t, "f2 00 11 00 00")), nil, "HelloHello", nil},
		{"garbage behind a final block", join(stored(true, "Hello"), []byte{0xff}), nil, "", ErrCorrupt},
		{"a truncated block behind a final one", join(stored(true, "Hello"), stored(false, "Hello")[:7]), nil, "", ErrCorrupt},

		{"nothing at all", nil, nil, "", ErrCorrupt},
		{"no empty block at the end", unhex(t, "00 05 00 fa ff 48 65 6c 6c 6f"), nil, "", ErrCorrupt},
		{"the tail not cut off", unhex(t, "f2 48 cd c9 c9 07 00 00 00 ff ff"), nil, "", ErrCorrupt},
		{"too much cut off", unhex(t, "f2 48 cd c9 c9 07"), nil, "", ErrCorrupt},
		{"a byte more", unhex(t, "f2 48 cd c9 c9 07 00 00"), nil, "", ErrCorrupt},
		{"the tail taken for the end of a stored block", stored(false, "Hello\x00\x00\xff\xff")[:10], nil, "", ErrCorrupt},
		{"a stored block that ends in the tail", append(stored(false, "Hello\x00\x00\xff\xff"), 0), nil, "Hello\x00\x00\xff\xff", nil},
		{"a stored block that ends in the middle of the tail", stored(false, "Hello\x00\x00")[:10], nil, "", ErrCorrupt},
		{"stored lengths that differ", unhex(t, "00 05 00 fb ff 48 65 6c 6c 6f 00"), nil, "", ErrCorrupt},
		{"reserved block type", unhex(t, "06 00"), nil, "", ErrCorrupt},
		{"reserved block type, final", unhex(t, "07 00"), nil, "", ErrCorrupt},
		{"ones", bytes.Repeat([]byte{0xff}, 50), nil, "", ErrCorrupt},
		{"endless empty blocks", bytes.Repeat(unhex(t, "00 00 00 ff ff"), 100_000), nil, "", ErrCorrupt},
		{"endless empty blocks, ended", append(bytes.Repeat(unhex(t, "00 00 00 ff ff"), 100_000), 0), nil, "", nil},
		{"endless empty final blocks", bytes.Repeat(unhex(t, "03 00"), 100_000), nil, "", nil},

		// RFC 1951 3.2.6: codes 286 and 287, and distances 30 and 31, "will never actually occur".
		{"length 286", join(fixed("literal", 'a'), []byte{}), nil, "a", nil},
		{"length 286", fixed("code", 0xc6, 8), nil, "", ErrCorrupt},
		{"length 287", fixed("code", 0xc7, 8), nil, "", ErrCorrupt},
		{"distance 30", fixed("literal", 'a', "code", 1, 7, "code", 30, 5), nil, "", ErrCorrupt},
		{"distance 31", fixed("literal", 'a', "code", 1, 7, "code", 31, 5), nil, "", ErrCorrupt},
		{"distance 2 at 1", fixed("literal", 'a', "match", 3, 2), nil, "", ErrCorrupt},
		{"distance 1 at 1", fixed("literal", 'a', "match", 3, 1), nil, "aaaa", nil},
		{"distance 1 at 0", fixed("match", 3, 1), nil, "", ErrCorrupt},
		{"distance 1 into the window", fixed("match", 5, 1), window("abc"), "ccccc", nil},
		{"across the end of the window", fixed("literal", 'x', "match", 7, 3), window("abc"), "xbcxbcxb", nil},
		{"the whole window", fixed("match", 3, 3), window("abc"), "abc", nil},
		{"one before the window", fixed("match", 3, 4), window("abc"), "", ErrCorrupt},
		{"the longest match", fixed("literal", 'a', "match", 258, 1), nil, strings.Repeat("a", 259), nil},

		// RFC 1951 3.2.7.
		{"287 literals", dynamic(287, 1, nil), nil, "", ErrCorrupt},
		{"31 distances", dynamic(257, 31, nil), nil, "", ErrCorrupt},
		{"no code length codes", dynamic(257, 1, make([]int, 19)), nil, "", ErrCorrupt},
		{"over-subscribed code length codes", dynamic(257, 1, []int{1, 1, 1}), nil, "", ErrCorrupt},
		{"incomplete code length codes", dynamic(257, 1, []int{2, 2}), nil, "", ErrCorrupt},
		{"repeat of nothing", dynamic(257, 1, []int{16: 1, 17: 1}, 0), nil, "", ErrCorrupt},
		{"no end of block", dynamic(257, 1, []int{17: 1, 18: 1}, 1, 0x7f, 7, 1, 0x7f, 7), nil, "", ErrCorrupt},
	}
	for _, test := range tests {
		dst := []byte("before ")
		got, err := Decompress(dst, test.src, noLimit, 15, test.window)
		if !errors.Is(err, test.err) || string(got) != "before "+test.want {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, got, err, test.want, test.err)
		}
	}
}

// fixed makes a message of one block in fixed codes: literals, matches (length, distance), and any codes (value, bits).
func fixed(items ...any) []byte {
	w := bitWriter{}
	w.put(fixedBlock, 3)
	for i := 0; i < len(items); {
		switch items[i] {
		case "literal":
			w.literal(byte(items[i+1].(rune)))
			i += 2
		case "match":
			w.match(items[i+1].(int), items[i+2].(int))
			i += 3
		case "code":
			v, n := items[i+1].(int), items[i+2].(int)
			for ; n > 0; n-- {
				w.put(uint32(v>>(n-1)&1), 1)
			}
			i += 3
		}
	}
	w.put(fixedEnd, 7)
	w.put(storedBlock, 3)
	return w.flush()
}

// dynamic makes the beginning of a dynamic block: counts, the lengths of the code length codes by symbol, and any bits.
func dynamic(literals, distances int, meta []int, bits ...int) []byte {
	w := bitWriter{}
	w.put(0b10<<1, 3)
	w.put(uint32(literals-257), 5)
	w.put(uint32(distances-1), 5)
	w.put(15, 4)
	for _, symbol := range codeLengthOrder {
		v := 0
		if int(symbol) < len(meta) {
			v = meta[symbol]
		}
		w.put(uint32(v), 3)
	}
	for _, b := range bits {
		w.put(uint32(b), 1)
	}
	w.put(0, 32)
	return w.flush()
}

// A message cut anywhere is corrupt, never a shorter message.
func TestDecompressCut(t *testing.T) {
	r := newRand()
	for _, level := range []int{-2, 0, 1, 5, 9} {
		for _, size := range []int{1, 40, 200, 700} {
			src := Compress(nil, jsonText(r, size), level, 15, nil)
			for n := range src {
				if bytes.Equal(src[:n], []byte{0}) {
					continue // what is left of a stored block is the empty message
				}
				if got, err := Decompress(nil, src[:n], noLimit, 15, nil); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("level %d, %d of %d bytes: %d bytes, %v", level, n, len(src), len(got), err)
				}
				compareInflaters(t, src[:n], nil, 15)
			}
		}
	}
}

// The input's last bytes must not be looked for beyond it, nor more be written than there is room for.
func TestDecompressCapacity(t *testing.T) {
	r := newRand()
	text := jsonText(r, 1000)
	src := Compress(nil, text, 1, 15, nil)
	for capacity := range 1300 {
		guarded := bytes.Repeat([]byte{0xaa}, 1400)
		got, err := Decompress(guarded[:0:capacity], slices.Clip(src), noLimit, 15, nil)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("capacity %d: %v", capacity, err)
		}
		if len(bytes.TrimRight(guarded[capacity:], "\xaa")) > 0 {
			t.Fatalf("capacity %d: written beyond it", capacity)
		}
	}
}

func TestDecompressLimit(t *testing.T) {
	r := newRand()
	for _, text := range [][]byte{jsonText(r, 3000), bytes.Repeat([]byte("a"), 3000), randomBytes(r, 3000)} {
		src := Compress(nil, text, 1, 15, nil)
		for _, limit := range []int64{-1, 0, 1, 2999, 3000, 3001, 1 << 62} {
			got, err := Decompress([]byte("x"), src, limit, 15, nil)
			if limit >= 3000 {
				if err != nil || string(got) != "x"+string(text) {
					t.Errorf("limit %d: %v", limit, err)
				}
			} else if !errors.Is(err, ErrTooLarge) || cap(got) > int(max(limit, 0))+1+512 {
				t.Errorf("limit %d: %d bytes, %v", limit, cap(got), err)
			}
		}
	}
	if got, err := Decompress(nil, []byte{0}, 0, 15, nil); err != nil || len(got) != 0 {
		t.Errorf("an empty message is too large for limit 0: %q, %v", got, err)
	}
}

// A message that inflates to a thousand times its size costs no more memory than the limit allows; growing to that takes twice
// as much in all.
func TestDecompressBomb(t *testing.T) {
	bomb := Compress(nil, make([]byte, 8<<20), 9, 15, nil)
	if len(bomb) > 9_000 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	const limit = 512 << 10
	if _, err := Decompress(nil, bomb, limit, 15, NewWindow(15)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decompress(nil, bomb, limit, 15, NewWindow(15))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 3*limit {
		t.Errorf("%d bytes allocated, with a limit of %d", got, limit)
	}
}

// RFC 7692 7.1.2: whoever agreed to a window must not refer further back, neither into the messages before nor within one.
func TestDecompressReach(t *testing.T) {
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		size := 1 << bits
		fill := strings.Repeat(strings.Repeat("x", 127)+"y", size/128)
		for _, test := range []struct {
			dist int
			err  error
		}{{size, nil}, {size + 1, ErrCorrupt}} {
			if test.dist > 1<<15 {
				continue // no code says so
			}
			within := join(stored(false, "abc"), stored(false, fill[:test.dist-3]), fixed("match", 3, test.dist))
			if _, err := Decompress(nil, within, noLimit, bits, nil); !errors.Is(err, test.err) {
				t.Errorf("bits %d, distance %d within a message: %v, want %v", bits, test.dist, err, test.err)
			}
			// The same where the fast loop sees it.
			items := []any{"match", 3, test.dist}
			for range 40 {
				items = append(items, "literal", 'z')
			}
			within = join(stored(false, "abc"), stored(false, fill[:test.dist-3]), fixed(items...))
			dst := make([]byte, 0, 2*size+1000)
			if _, err := Decompress(dst, within, noLimit, bits, nil); !errors.Is(err, test.err) {
				t.Errorf("bits %d, distance %d within a message, fast: %v, want %v", bits, test.dist, err, test.err)
			}
			// Even where the caller has kept more than was agreed.
			w := NewWindow(15)
			w.Write([]byte(fill + fill))
			if _, err := Decompress(nil, fixed("match", 3, test.dist), noLimit, bits, w); !errors.Is(err, test.err) {
				t.Errorf("bits %d, distance %d into the window: %v, want %v", bits, test.dist, err, test.err)
			}
		}
	}
}

// Once the two ends have lost step, the receiver notices where it can, and neither panics nor reads what is not there.
func TestDecompressDesync(t *testing.T) {
	r := newRand()
	send, receive := NewWindow(15), NewWindow(15)
	failed := false
	for i := range 50 {
		text := jsonText(r, 200)
		src := Compress(nil, text, 1, 15, send)
		if i == 0 {
			continue // lost
		}
		got, err := Decompress(nil, src, noLimit, 15, receive)
		failed = failed || err != nil || !bytes.Equal(got, text)
	}
	if !failed {
		t.Error("a lost message went unnoticed")
	}
}

// What the standard library and the simple reference make of every message with one bit or byte changed, so does Decompress.
func TestDecompressDamaged(t *testing.T) {
	r := newRand()
	for _, level := range []int{0, 1, 6} {
		for _, size := range []int{30, 600} {
			src := Compress(nil, jsonText(r, size), level, 15, nil)
			for i := range src {
				for bit := range 8 {
					damaged := bytes.Clone(src)
					damaged[i] ^= 1 << bit
					compareInflaters(t, damaged, nil, 15)
				}
			}
		}
	}
}

// compareInflaters holds Decompress against the two references.
func compareInflaters(t *testing.T, src, history []byte, bits int) {
	t.Helper()
	window := NewWindow(MaxWindowBits)
	window.Write(history)
	history = held(window)
	got, err := Decompress(nil, src, noLimit, bits, window)
	want, farthest, wantErr := referenceInflate(src, history)
	if wantErr == nil && farthest > 1<<bits {
		wantErr = ErrCorrupt
	}
	if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%x, bits %d: %d bytes, %v; the reference: %d bytes, %v", src, bits, len(got), err, len(want), wantErr)
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%x: %v", src, err)
	}
	if standard, standardErr := standard(src, history); err == nil && (standardErr != nil || !bytes.Equal(got, standard)) {
		t.Fatalf("%x: %d bytes; compress/flate: %d bytes, %v", src, len(got), len(standard), standardErr)
	}
}
