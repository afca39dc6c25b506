package mask

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// reference is the algorithm of RFC 6455 5.3 to the letter:
// "j = i MOD 4; transformed-octet-i = original-octet-i XOR masking-key-octet-j".
func reference(b []byte, key [4]byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = c ^ key[i%4]
	}
	return out
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

var keys = [][4]byte{
	{0x37, 0xfa, 0x21, 0x3d}, // RFC 6455 5.7
	{},
	{0xff, 0xff, 0xff, 0xff},
	{1, 0, 0, 0},
	{0, 0, 0, 0x80},
}

func TestExampleOfTheRFC(t *testing.T) {
	// RFC 6455 5.7: "A single-frame masked text message", its payload.
	b := []byte{0x7f, 0x9f, 0x4d, 0x51, 0x58}
	XOR(b, binary.LittleEndian.Uint32([]byte{0x37, 0xfa, 0x21, 0x3d}))
	if string(b) != "Hello" {
		t.Fatalf("unmasked %q, want Hello", b)
	}
}

func TestEveryLengthAndAlignment(t *testing.T) {
	const guard = 0xa5
	for _, wire := range keys {
		key := binary.LittleEndian.Uint32(wire[:])
		for n := range 201 {
			for offset := range 9 {
				plain := random(n)
				want := reference(plain, wire)
				rotated := binary.LittleEndian.Uint32([]byte{wire[n%4], wire[(n+1)%4], wire[(n+2)%4], wire[(n+3)%4]})

				buf := bytes.Repeat([]byte{guard}, offset+n+9)
				b := buf[offset : offset+n]
				copy(b, plain)
				if next := XOR(b, key); next != rotated || !bytes.Equal(b, want) {
					t.Fatalf("XOR of %d bytes at %d: %x, next key %08x; want %x, %08x", n, offset, b, next, want, rotated)
				}
				checkGuards(t, buf, offset, n, guard)

				dst := bytes.Repeat([]byte{guard}, offset+n+9)
				src := bytes.Clone(plain)
				if next := Copy(dst[offset:], src, key); next != rotated || !bytes.Equal(dst[offset:offset+n], want) {
					t.Fatalf("Copy of %d bytes to %d: %x, next key %08x; want %x, %08x", n, offset, dst[offset:offset+n], next, want, rotated)
				}
				if !bytes.Equal(src, plain) {
					t.Fatalf("Copy of %d bytes changed its source", n)
				}
				checkGuards(t, dst, offset, n, guard)
			}
		}
	}
}

func checkGuards(t *testing.T, buf []byte, offset, n int, guard byte) {
	t.Helper()
	for i, c := range buf {
		if (i < offset || i >= offset+n) && c != guard {
			t.Fatalf("%d bytes at %d: byte %d outside was written", n, offset, i)
		}
	}
}

func TestCutAtEveryByte(t *testing.T) {
	for _, wire := range keys {
		key := binary.LittleEndian.Uint32(wire[:])
		plain := random(150)
		want := reference(plain, wire)
		for cut := range len(plain) + 1 {
			b := bytes.Clone(plain)
			XOR(b[cut:], XOR(b[:cut], key))
			if !bytes.Equal(b, want) {
				t.Fatalf("XOR cut at %d: %x, want %x", cut, b, want)
			}
			dst := make([]byte, len(plain))
			Copy(dst[cut:], plain[cut:], Copy(dst, plain[:cut], key))
			if !bytes.Equal(dst, want) {
				t.Fatalf("Copy cut at %d: %x, want %x", cut, dst, want)
			}
		}
	}
}

func TestCopyOntoItself(t *testing.T) {
	b := random(1000)
	want := reference(b, keys[0])
	Copy(b, b, binary.LittleEndian.Uint32(keys[0][:]))
	if !bytes.Equal(b, want) {
		t.Fatal("Copy onto the same memory differs from XOR")
	}
}

func TestCopyToShorter(t *testing.T) {
	dst := make([]byte, 99, 200)
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
		if !bytes.Equal(dst[:100], make([]byte, 100)) {
			t.Fatal("something was written")
		}
	}()
	Copy(dst, make([]byte, 100), 0x01010101)
}

func FuzzMask(f *testing.F) {
	f.Fuzz(func(t *testing.T, plain []byte, key uint32, cut uint) {
		var wire [4]byte
		binary.LittleEndian.PutUint32(wire[:], key)
		want := reference(plain, wire)
		cut %= uint(len(plain)) + 1

		b := bytes.Clone(plain)
		XOR(b[cut:], XOR(b[:cut], key))
		if !bytes.Equal(b, want) {
			t.Fatalf("XOR cut at %d: %x, want %x", cut, b, want)
		}
		dst := make([]byte, len(plain))
		next := Copy(dst[cut:], plain[cut:], Copy(dst, plain[:cut], key))
		if !bytes.Equal(dst, want) {
			t.Fatalf("Copy cut at %d: %x, want %x", cut, dst, want)
		}
		if once := XOR(dst, key); once != next || !bytes.Equal(dst, plain) {
			t.Fatalf("unmasked %x, next key %08x; want %x, %08x", dst, once, plain, next)
		}
	})
}

var sizes = []int{5, 28, 125, 128, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10}

// payloadOffset is where a payload lies after a masked header of 6 bytes.
const payloadOffset = 6

func BenchmarkXOR(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := make([]byte, payloadOffset+n)[payloadOffset:]
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for key := uint32(0x3d21fa37); b.Loop(); {
				key = XOR(p, key)
			}
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src, dst := make([]byte, n), make([]byte, payloadOffset+n)[payloadOffset:]
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for key := uint32(0x3d21fa37); b.Loop(); {
				key = Copy(dst, src, key)
			}
		})
	}
}

func TestLines(t *testing.T) {
	for name, f := range map[string]func(dst, src []byte, key uint32){"xorLines": xorLines, "xorLinesInGo": xorLinesInGo} {
		for n := 0; n <= 4*lineSize; n += lineSize {
			for offset := range 9 {
				src := random(n + offset)[offset:]
				want := reference(src, keys[0])
				dst := bytes.Repeat([]byte{0xa5}, offset+n+9)
				f(dst[offset:offset+n], src, binary.LittleEndian.Uint32(keys[0][:]))
				if !bytes.Equal(dst[offset:offset+n], want) {
					t.Fatalf("%s: %d bytes to %d: %x, want %x", name, n, offset, dst[offset:offset+n], want)
				}
				checkGuards(t, dst, offset, n, 0xa5)
			}
		}
	}
}
