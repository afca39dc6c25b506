package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"baro.dev/engineio/internal/payload"
)

// sent is a frame as it has to come out.
type sent struct {
	binary bool
	data   string
}

func read(f *Reader) (all []sent, err error) {
	for {
		isBinary, data, err := f.Next()
		if err != nil {
			return all, err
		}
		all = append(all, sent{isBinary, string(data)})
	}
}

// packets are some of all kinds and lengths.
func packets() (all []payload.Packet) {
	for _, n := range []int{0, 1, 123, 124, 125, 126, 127, 2047, 2048, 65533, 65534, 65535, 65536, 100_000} {
		data := bytes.Repeat([]byte("x"), n)
		all = append(all, payload.Packet{Type: payload.Message, Data: data}, payload.Packet{Type: payload.Message, Binary: true, Data: data})
	}
	return append(all, payload.Packet{Type: payload.Ping, Data: []byte("probe")}, payload.Packet{Type: payload.Noop})
}

func TestFrames(t *testing.T) {
	for _, format := range []payload.Format{payload.V4, payload.V4Base64} {
		var stream []byte
		var want []sent
		for _, p := range packets() {
			before := len(stream)
			stream = Append(stream, format, p)
			f := format
			if p.Binary && len(p.Data) == 0 {
				f = payload.V4Base64
			}
			if n := Length(f, p); len(stream)-before > n+maxFrameHeader {
				t.Errorf("%v %v: %d bytes, said to be %d", format, p.Type, len(stream)-before, n)
			}
			want = append(want, sent{f.IsBinary(p), string(f.AppendMessage(nil, p))})
		}
		readers := map[string]io.Reader{
			"whole":    bytes.NewReader(stream),
			"by byte":  iotest.OneByteReader(bytes.NewReader(stream)),
			"by half":  iotest.HalfReader(bytes.NewReader(stream)),
			"with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
		}
		for name, r := range readers {
			got, err := read(&Reader{R: r, Max: 200_000})
			if err != io.EOF || len(got) != len(want) {
				t.Fatalf("%v, %s: %d frames of %d, %v", format, name, len(got), len(want), err)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%v, %s: frame %d is %t %.20q of %d bytes", format, name, i, got[i].binary, got[i].data, len(got[i].data))
				}
			}
		}
	}
}

// A stream that ends within a frame is not one that ends.
func TestFramesCut(t *testing.T) {
	var stream []byte
	ends := map[int]int{0: 0} // whole frames by where they end
	for i, n := range []int{1, 125, 126, 300, 66_000} {
		stream = Append(stream, payload.V4, payload.Packet{Type: payload.Message, Binary: true, Data: make([]byte, n)})
		ends[len(stream)] = i + 1
	}
	whole := 0
	for cut := range stream {
		if cut > 1000 && cut < len(stream)-1000 {
			continue
		}
		n, between := ends[cut]
		want := io.ErrUnexpectedEOF
		if between {
			whole, want = n, io.EOF
		}
		got, err := read(&Reader{R: bytes.NewReader(stream[:cut]), Max: 100_000})
		if err != want || len(got) != whole {
			t.Fatalf("cut at %d: %d frames, %v; want %d, %v", cut, len(got), err, whole, want)
		}
	}
}

func TestFramesMalformed(t *testing.T) {
	const limit = 70_000
	length16 := func(n uint16) []byte { return binary.BigEndian.AppendUint16([]byte{frameLength16}, n) }
	length64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{frameLength64}, n) }
	tests := map[string]struct {
		head []byte
		ok   bool
	}{
		"length 0":               {[]byte{0}, false},
		"binary of length 0":     {[]byte{frameBinary}, false},
		"0 in two bytes":         {length16(0), false},
		"125 in two bytes":       {length16(125), false},
		"126 in two bytes":       {length16(126), true},
		"all of two bytes":       {length16(math.MaxUint16), true},
		"0 in eight bytes":       {length64(0), false},
		"65,535 in eight bytes":  {length64(math.MaxUint16), false},
		"65,536 in eight bytes":  {length64(math.MaxUint16 + 1), true},
		"the limit":              {length64(limit), true},
		"one more":               {length64(limit + 1), false},
		"the largest of int64":   {length64(math.MaxInt64), false},
		"more than int64":        {length64(math.MaxInt64 + 1), false},
		"the largest there is":   {length64(math.MaxUint64), false},
		"a length in reverse":    {[]byte{frameLength64, 5, 0, 0, 0, 0, 0, 0, 0}, false},
		"the largest of JS + 1":  {length64(1 << 53), false},
		"binary, limit exceeded": {append([]byte{frameBinary | frameLength64}, length64(limit + 1)[1:]...), false},
	}
	for name, tt := range tests {
		got, err := read(&Reader{R: io.MultiReader(bytes.NewReader(tt.head), strings.NewReader(strings.Repeat("x", limit))), Max: limit})
		if malformed := errors.Is(err, ErrMalformed) && len(got) == 0; malformed == tt.ok {
			t.Errorf("%s: %d frames, %v", name, len(got), err)
		}
	}
}

// Nothing is allocated on the word of a length.
func TestFramesClaim(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 100
	for range n {
		head := binary.BigEndian.AppendUint64([]byte{frameLength64}, 1<<30)
		if _, err := read(&Reader{R: io.MultiReader(bytes.NewReader(head), strings.NewReader("a little")), Max: 1 << 30}); err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 4*frameBuffer {
		t.Errorf("%d bytes for a claim", each)
	}
}

// A large frame's buffer is not kept.
func TestFramesLetGo(t *testing.T) {
	stream := Append(nil, payload.V4, payload.Packet{Binary: true, Data: make([]byte, 1<<20)})
	f := Reader{R: bytes.NewReader(stream), Max: 1 << 20}
	if _, _, err := f.Next(); err != nil || len(f.buf) < 1<<20 {
		t.Fatal(len(f.buf), err)
	}
	if _, _, err := f.Next(); err != io.EOF || len(f.buf) > KeepBuffer {
		t.Fatal(len(f.buf), err)
	}
}

// A reader that neither reads nor fails is given up.
func TestFramesNoProgress(t *testing.T) {
	f := Reader{R: idle{}, Max: 10}
	if _, _, err := f.Next(); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// Small frames cost no allocation.
func TestFramesAllocs(t *testing.T) {
	stream := Append(nil, payload.V4, payload.Packet{Type: payload.Message, Data: []byte("hello")})
	r := &again{stream}
	f := Reader{R: r, Max: 100}
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// again is a stream of the same for ever.
type again struct{ data []byte }

func (a *again) Read(p []byte) (int, error) { return copy(p, a.data), nil }

func BenchmarkFrames(b *testing.B) {
	for name, n := range map[string]int{"32 B": 32, "64 KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			stream := Append(nil, payload.V4, payload.Packet{Binary: true, Data: make([]byte, n)})
			var r bytes.Reader
			f := Reader{R: &r, Max: 1 << 20}
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				r.Reset(stream)
				if _, _, err := f.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whatever comes, however it is cut: frames are what a decoder finds that has all of it, and lie within the limit.
func FuzzFrames(f *testing.F) {
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 1000
		want, wantErr := referenceFrames(stream, limit)
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(stream), "by byte": iotest.OneByteReader(bytes.NewReader(stream))} {
			in := &Reader{R: r, Max: limit}
			got, err := read(in)
			if !errors.Is(err, wantErr) || len(got) != len(want) {
				t.Fatalf("%s: %d frames, %v; want %d, %v", name, len(got), err, len(want), wantErr)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%s: frame %d is %v, want %v", name, i, got[i], want[i])
				}
			}
			if len(in.buf) > 2*frameBuffer {
				t.Fatalf("%s: a buffer of %d bytes", name, len(in.buf))
			}
		}
	})
}

// referenceFrames decodes frames that are all there.
func referenceFrames(b []byte, limit uint64) (all []sent, err error) {
	for len(b) > 0 {
		isBinary, n := b[0] >= 128, uint64(b[0]%128)
		b = b[1:]
		least, size := uint64(1), 0
		switch n {
		case 126:
			least, size = 126, 2
		case 127:
			least, size = 65536, 8
		}
		if len(b) < size {
			return all, io.ErrUnexpectedEOF
		}
		if size > 0 {
			n = 0
			for _, c := range b[:size] {
				n = n<<8 | uint64(c)
			}
			b = b[size:]
		}
		switch {
		case n < least || n > limit:
			return all, ErrMalformed
		case n > uint64(len(b)):
			return all, io.ErrUnexpectedEOF
		}
		all = append(all, sent{isBinary, string(b[:n])})
		b = b[n:]
	}
	return all, io.EOF
}
