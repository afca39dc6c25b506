package deflate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
)

// Whatever pieces a message comes in and is read in, the Reader returns what Decompress does, and keeps the same window.
func TestReader(t *testing.T) {
	sources := map[string]func(io.Reader) io.Reader{
		"whole":         func(r io.Reader) io.Reader { return r },
		"byte by byte":  iotest.OneByteReader,
		"EOF with data": iotest.DataErrReader,
		"in halves":     iotest.HalfReader,
	}
	for name, source := range sources {
		for _, bits := range []int{8, 11, 15} {
			for _, takeover := range []bool{false, true} {
				var send, receive *Window
				if takeover {
					send, receive = NewWindow(bits), NewWindow(bits)
				}
				r := newRand()
				for i, message := range series() {
					if len(message) > 6000 && name == "byte by byte" {
						continue
					}
					compressed := Compress(nil, message, 1, bits, send)
					in := NewReader(source(bytes.NewReader(compressed)), int64(len(message)), bits, receive)
					got, err := readPieces(in, r)
					in.Close()
					if err != nil || !bytes.Equal(got, message) {
						t.Fatalf("%s, bits %d, message %d: %d of %d bytes, %v", name, bits, i, len(got), len(message), err)
					}
					if takeover && bits == MaxWindowBits && !bytes.Equal(held(receive), held(send)) {
						t.Fatalf("%s, bits %d, message %d: the windows differ", name, bits, i)
					}
				}
			}
		}
	}
}

// readPieces reads to the end in pieces of all sizes.
func readPieces(in io.Reader, r *rand.Rand) (got []byte, err error) {
	for {
		p := make([]byte, []int{1, 7, 100, 600, 5000}[r.IntN(5)])
		n, err := in.Read(p)
		got = append(got, p[:n]...)
		if n > 0 && err != nil {
			return got, fmt.Errorf("%d bytes together with %w", n, err)
		}
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// Everything that can be decoded is returned before the source is asked for more.
func TestReaderReturnsWhatIsThere(t *testing.T) {
	w := NewWriter(1, 15, nil)
	source := make(chan []byte, 1)
	in := NewReader(readerFunc(func(p []byte) (int, error) {
		select {
		case b, ok := <-source:
			if !ok {
				return 0, io.EOF
			}
			return copy(p, b), nil
		default:
			return 0, errWouldBlock
		}
	}), noLimit, 15, nil)
	defer in.Close()
	p := make([]byte, 1000)
	for _, piece := range []string{"one", "two, longer", "three", "two, longer"} {
		source <- w.Flush(w.Append(nil, []byte(piece)))
		n, err := in.Read(p)
		if string(p[:n]) != piece || err != nil {
			t.Fatalf("%q, %v; want %q", p[:n], err, piece)
		}
		// An error of the source ends nothing: the next call asks again.
		for range 2 {
			if n, err := in.Read(p); n != 0 || err != errWouldBlock {
				t.Fatalf("%d bytes, %v", n, err)
			}
		}
	}
	source <- w.Finish(nil)
	close(source)
	for range 2 {
		if n, err := in.Read(p); n != 0 || err != io.EOF {
			t.Fatalf("%d bytes, %v; want EOF", n, err)
		}
	}
}

var errWouldBlock = errors.New("would block")

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderErrors(t *testing.T) {
	text := jsonText(newRand(), 500)
	whole := Compress(nil, text, 1, 15, nil)
	tests := []struct {
		name  string
		src   io.Reader
		limit int64
		want  error
	}{
		{"whole", bytes.NewReader(whole), 500, nil},
		{"limit", bytes.NewReader(whole), 499, ErrTooLarge},
		{"limit 0", bytes.NewReader(whole), 0, ErrTooLarge},
		{"limit below 0", bytes.NewReader(whole), -1, ErrTooLarge},
		{"limit 0, empty", bytes.NewReader([]byte{0}), 0, nil},
		{"nothing", bytes.NewReader(nil), 500, ErrCorrupt},
		{"cut", bytes.NewReader(whole[:len(whole)-1]), 500, ErrCorrupt},
		{"a byte more", bytes.NewReader(append(bytes.Clone(whole), 0, 0)), 500, ErrCorrupt},
		{"reserved", bytes.NewReader([]byte{6}), 500, ErrCorrupt},
		{"broken source", io.MultiReader(bytes.NewReader(whole[:50]), iotest.ErrReader(errWouldBlock)), 500, errWouldBlock},
		{"source without end", readerFunc(func([]byte) (int, error) { return 0, nil }), 500, io.ErrNoProgress},
		{"endless empty blocks", io.LimitReader(readerFunc(func(p []byte) (int, error) {
			return copy(p, bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 100)), nil
		}), 1_000_000), 500, ErrCorrupt},
	}
	for _, test := range tests {
		for range 2 { // the second with an inflater that has seen the first
			if s, ok := test.src.(io.Seeker); ok {
				s.Seek(0, io.SeekStart)
			}
			in := NewReader(test.src, test.limit, 15, nil)
			got, err := io.ReadAll(in)
			if !errors.Is(err, test.want) || int64(len(got)) > max(test.limit, 0) {
				t.Errorf("%s: %d bytes, %v; want %v", test.name, len(got), err, test.want)
			}
			if n, err := in.Read(make([]byte, 10)); n > 0 || err == nil {
				t.Errorf("%s: %d more bytes, %v", test.name, n, err)
			}
			if err := in.Close(); err != nil {
				t.Errorf("%s: close: %v", test.name, err)
			}
			if n, err := in.Read(make([]byte, 10)); n > 0 || err == nil || err == io.EOF {
				t.Errorf("%s: %d bytes after Close, %v", test.name, n, err)
			}
			in.Close()
		}
	}
}

// Cut at every byte, damaged at every byte: the Reader says what Decompress says.
func TestReaderDamaged(t *testing.T) {
	r := newRand()
	for _, level := range []int{0, 1, 6} {
		src := Compress(nil, jsonText(r, 300), level, 15, nil)
		for i := range src {
			damaged := bytes.Clone(src)
			damaged[i] ^= 1 << r.IntN(8)
			compareReader(t, damaged, 15, r)
			compareReader(t, src[:i], 15, r)
		}
	}
}

// compareReader holds a Reader that gets src in random pieces against Decompress.
func compareReader(t *testing.T, src []byte, bits int, r *rand.Rand) {
	t.Helper()
	want, wantErr := Decompress(nil, src, noLimit, bits, nil)
	rest := src
	in := NewReader(readerFunc(func(p []byte) (int, error) {
		if len(rest) == 0 {
			return 0, io.EOF
		}
		n := copy(p, rest[:min(len(rest), 1+r.IntN(40))])
		rest = rest[n:]
		return n, nil
	}), noLimit, bits, nil)
	defer in.Close()
	got, err := readPieces(in, r)
	if !errors.Is(err, wantErr) || (wantErr == nil) != (err == nil) || err == nil && !bytes.Equal(got, want) {
		t.Fatalf("%x: %d bytes, %v; Decompress: %d bytes, %v", src, len(got), err, len(want), wantErr)
	}
}

// A bomb read as a stream is stopped at the limit, and holds only what it may refer back to.
func TestReaderBomb(t *testing.T) {
	bomb := Compress(nil, make([]byte, 8<<20), 9, 15, nil)
	p := make([]byte, 4096)
	read := func() (total int) {
		in := NewReader(bytes.NewReader(bomb), 4<<20, 15, nil)
		defer in.Close()
		for {
			n, err := in.Read(p)
			total += n
			if err != nil {
				if !errors.Is(err, ErrTooLarge) {
					t.Fatal(err)
				}
				return total
			}
		}
	}
	read()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := read(); got != 4<<20 {
		t.Errorf("%d bytes read with a limit of %d", got, 4<<20)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 200_000 {
		t.Errorf("%d bytes allocated", got)
	}
}
