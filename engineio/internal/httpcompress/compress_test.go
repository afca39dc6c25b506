package httpcompress

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// decompress uses the standard library, as another implementation.
func decompress(t testing.TB, coding Encoding, data []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch coding {
	case Gzip:
		var z *gzip.Reader
		if z, err = gzip.NewReader(r); err == nil {
			z.Multistream(false)
			r = z
		}
	case Deflate:
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sample(size int) []byte {
	const event = `42["message",{"user":"kim","text":"hello, world","id":%d}]` + "\x1e"
	var b []byte
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, event, i*7919)
	}
	return b[:size]
}

func TestAppend(t *testing.T) {
	random := make([]byte, 5000)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(random); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		c      *Compressor
		body   []byte
		accept string
		want   Encoding
	}{
		{"gzip", new(Compressor), sample(1024), "gzip, deflate, br", Gzip},
		{"deflate", new(Compressor), sample(5000), "deflate", Deflate},
		{"a megabyte", new(Compressor), sample(1 << 20), "gzip", Gzip},
		{"below the threshold", new(Compressor), sample(1023), "gzip", Identity},
		{"below a threshold of its own", &Compressor{Threshold: 2000}, sample(1999), "gzip", Identity},
		{"above a threshold of its own", &Compressor{Threshold: 300}, sample(300), "gzip", Gzip},
		{"switched off", &Compressor{Threshold: -1}, sample(5000), "gzip", Identity},
		{"not accepted", new(Compressor), sample(5000), "br", Identity},
		{"nothing accepted", new(Compressor), sample(5000), "", Identity},
		{"not to be compressed", new(Compressor), random, "gzip", Identity},
		{"empty", &Compressor{Threshold: 1}, nil, "gzip", Identity},
		{"one byte", &Compressor{Threshold: 1}, []byte("a"), "gzip", Identity},
		{"the smallest", &Compressor{Level: 9}, sample(5000), "gzip", Gzip},
		{"beyond the smallest", &Compressor{Level: 99}, sample(5000), "deflate", Deflate},
		{"beyond the fastest", &Compressor{Level: -99}, sample(5000), "deflate", Deflate},
	} {
		out, coding := test.c.Append([]byte("before"), test.body, []string{test.accept})
		out, found := bytes.CutPrefix(out, []byte("before"))
		if !found || coding != test.want {
			t.Errorf("%s: %v", test.name, coding)
			continue
		}
		if coding == Identity {
			if len(out) != 0 {
				t.Errorf("%s: %d bytes", test.name, len(out))
			}
			continue
		}
		if back := decompress(t, coding, out); !bytes.Equal(back, test.body) || len(out) >= len(test.body) {
			t.Errorf("%s: %d bytes became %d", test.name, len(test.body), len(out))
		}
	}
}

// One writer after the other, and several at once, leave nothing of one body in another.
func TestConcurrent(t *testing.T) {
	var c Compressor
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			accept := []string{[]string{"gzip", "deflate"}[i%2]}
			var dst []byte
			for k := range 20 {
				body := sample(1024 + 1000*i + 100*k)
				var coding Encoding
				dst, coding = c.Append(dst[:0], body, accept)
				if !bytes.Equal(decompress(t, coding, dst), body) {
					t.Errorf("%d, %d: another body", i, k)
				}
			}
		})
	}
	group.Wait()
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("hello, hello, hello, hello, hello, hello, hello"), "gzip")
	f.Add([]byte(strings.Repeat("a", 100)), "deflate;q=0.5, gzip;q=0")
	f.Add([]byte(""), "*")
	c := &Compressor{Threshold: 1}
	f.Fuzz(func(t *testing.T, body []byte, accept string) {
		out, coding := c.Append(nil, body, []string{accept})
		if coding == Identity {
			if len(out) != 0 {
				t.Fatalf("%d bytes", len(out))
			}
		} else if !bytes.Equal(decompress(t, coding, out), body) {
			t.Fatalf("%v: %q", coding, body)
		}
	})
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("a sync.Pool forgets at random under the race detector")
	}
	var c Compressor
	body, dst := sample(4096), make([]byte, 0, 4096)
	accept := []string{"gzip, deflate, br"}
	if n := testing.AllocsPerRun(100, func() { c.Append(dst, body, accept) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, level := range []int{1, 2, 3, 6} {
		for _, size := range []int{2 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("level-%d/%dKB", level, size>>10), func(b *testing.B) {
				c := &Compressor{Level: level}
				body, accept := sample(size), []string{"gzip, deflate, br"}
				dst := make([]byte, 0, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					dst, _ = c.Append(dst[:0], body, accept)
				}
				b.ReportMetric(float64(len(dst))/float64(size), "ratio")
			})
		}
	}
}

// What a compressor at rest holds.
func BenchmarkWriter(b *testing.B) {
	for _, level := range []int{1, 2, 3, 6} {
		b.Run(fmt.Sprintf("level-%d", level), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := &Compressor{Level: level}
				runtime.KeepAlive(c.writer())
			}
		})
	}
}
