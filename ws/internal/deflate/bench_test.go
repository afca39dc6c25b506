package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"runtime"
	"testing"

	klauspost "github.com/klauspost/compress/flate"
)

// benchmark runs f on messages of size bytes, and reports CPU time and how many bytes a message became.
func benchmark(b *testing.B, size int, f func(message []byte) int) {
	r := newRand()
	messages := make([][]byte, max(64, 2<<MaxWindowBits/size)) // more than any window
	for i := range messages {
		messages[i] = jsonText(r, size)
	}
	for range 2 {
		for _, m := range messages {
			f(m)
		}
	}
	runtime.GC()
	b.ReportAllocs()
	b.SetBytes(int64(size))
	i, out := 0, 0
	start := cpuTime()
	for b.Loop() {
		out += f(messages[i%len(messages)])
		i++
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(i), "cpu-ns/op")
	b.ReportMetric(float64(out)/float64(i), "B/msg")
}

// BenchmarkCompress measures levels, and with context takeover what reading a window anew for each message costs, beside a
// writer that the connection keeps ("kept", 700 KB).
func BenchmarkCompress(b *testing.B) {
	for _, size := range []int{100, 200, 1024, 4096} {
		for _, level := range []int{1, 2, 3, klauspost.DefaultCompression} {
			for _, own := range []int{0, 9, 10, 11, 12, 15} {
				b.Run(fmt.Sprintf("size=%d/level=%d/window=%d", size, level, own), func(b *testing.B) {
					var w *Window
					if own > 0 {
						w = NewWindow(own)
					}
					var dst []byte
					benchmark(b, size, func(m []byte) int {
						dst = Compress(dst[:0], m, level, 15, w)
						return len(dst)
					})
				})
			}
			b.Run(fmt.Sprintf("size=%d/level=%d/kept", size, level), func(b *testing.B) {
				var out bytes.Buffer
				w, _ := klauspost.NewWriter(&out, level)
				benchmark(b, size, func(m []byte) int {
					out.Reset()
					w.Write(m)
					w.Flush()
					return out.Len() - 4
				})
			})
		}
	}
}

// BenchmarkCompressBits is for receivers with less than the largest window.
func BenchmarkCompressBits(b *testing.B) {
	for _, size := range []int{200, 1024, 4096} {
		for _, bits := range []int{8, 9, 12, 15} {
			for _, takeover := range []bool{false, true} {
				b.Run(fmt.Sprintf("size=%d/bits=%d/takeover=%v", size, bits, takeover), func(b *testing.B) {
					var w *Window
					if takeover {
						w = NewWindow(min(bits, DefaultSendWindowBits))
					}
					var dst []byte
					benchmark(b, size, func(m []byte) int {
						dst = Compress(dst[:0], m, DefaultLevel, bits, w)
						return len(dst)
					})
				})
			}
		}
	}
}

// BenchmarkStateless is klauspost's compressor that keeps no state, for comparison.
func BenchmarkStateless(b *testing.B) {
	for _, size := range []int{100, 200, 1024, 4096} {
		for _, own := range []int{0, 9, 12, 13} {
			b.Run(fmt.Sprintf("size=%d/window=%d", size, own), func(b *testing.B) {
				var w *Window
				if own > 0 {
					w = NewWindow(own)
				}
				var out bytes.Buffer
				benchmark(b, size, func(m []byte) int {
					out.Reset()
					klauspost.StatelessDeflate(&out, m, false, held(w))
					w.Write(m)
					return out.Len() - 4
				})
			})
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	for _, size := range []int{100, 200, 1024, 4096, 65536} {
		for _, own := range []int{0, 9, 12, 15} {
			b.Run(fmt.Sprintf("size=%d/window=%d", size, own), func(b *testing.B) {
				benchmarkDecompress(b, size, own, func(dst, src []byte, w *Window) int {
					out, err := Decompress(dst, src, noLimit, 15, w)
					if err != nil {
						b.Fatal(err)
					}
					return len(out)
				})
			})
		}
		libraries := []struct {
			name   string
			reader io.ReadCloser
		}{{"klauspost", klauspost.NewReader(nil)}, {"standard", flate.NewReader(nil)}}
		for _, library := range libraries {
			for _, own := range []int{0, 12, 15} {
				b.Run(fmt.Sprintf("size=%d/window=%d/%s", size, own, library.name), func(b *testing.B) {
					in := bytes.NewReader(nil)
					var whole []byte
					benchmarkDecompress(b, size, own, func(dst, src []byte, w *Window) int {
						whole = append(append(append(whole[:0], src...), tail...), 1, 0, 0, 0xff, 0xff)
						in.Reset(whole)
						library.reader.(klauspost.Resetter).Reset(in, held(w))
						n, err := io.ReadFull(library.reader, dst[:size])
						if err != nil {
							b.Fatal(err)
						}
						w.Write(dst[:n])
						return n
					})
				})
			}
		}
	}
}

// benchmarkDecompress gives f messages as a peer of level 1 compresses them.
func benchmarkDecompress(b *testing.B, size, own int, f func(dst, src []byte, w *Window) int) {
	count := max(64, 1<<MaxWindowBits/size+1) // more than a window
	r := newRand()
	var send, receive *Window
	if own > 0 {
		// What comes before the first message is what comes before the first of the next round.
		send, receive = NewWindow(own), NewWindow(own)
	}
	var messages, compressed [][]byte
	for range count {
		messages = append(messages, jsonText(r, size))
	}
	for i := range 2 * count {
		compressed = append(compressed, Compress(nil, messages[i%count], 1, 15, send))
	}
	compressed = compressed[count:]
	receive.Write(held(send))
	dst := make([]byte, 0, size+512)
	runtime.GC()
	b.ReportAllocs()
	b.SetBytes(int64(size))
	i, in := 0, 0
	start := cpuTime()
	for b.Loop() {
		src := compressed[i%len(compressed)]
		in += len(src)
		if n := f(dst, src, receive); n != size {
			b.Fatalf("%d bytes", n)
		}
		i++
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(i), "cpu-ns/op")
	b.ReportMetric(float64(in)/float64(i), "B/msg")
}

// BenchmarkEcho is what echoing a compressed message takes, beside the same with klauspost/compress alone, primed by ResetDict
// in both directions; window is the sender's, and the receiver's is the largest.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{200, 4096} {
		for _, own := range []int{0, 12, 15} {
			receive := 0
			if own > 0 {
				receive = MaxWindowBits
			}
			var out []byte
			b.Run(fmt.Sprintf("size=%d/window=%d", size, own), func(b *testing.B) {
				var send *Window
				if own > 0 {
					send = NewWindow(own)
				}
				benchmarkDecompress(b, size, receive, func(dst, src []byte, w *Window) int {
					message, err := Decompress(dst, src, noLimit, 15, w)
					if err != nil {
						b.Fatal(err)
					}
					out = Compress(out[:0], message, 1, 15, send)
					return len(message)
				})
			})
			b.Run(fmt.Sprintf("size=%d/window=%d/klauspost", size, own), func(b *testing.B) {
				send := NewWindow(max(own, MinWindowBits))
				in := bytes.NewReader(nil)
				reader := klauspost.NewReader(nil)
				var whole, dict []byte
				var sink bytes.Buffer
				writer, _ := klauspost.NewWriter(nil, 1)
				benchmarkDecompress(b, size, receive, func(dst, src []byte, w *Window) int {
					whole = append(append(append(whole[:0], src...), tail...), 1, 0, 0, 0xff, 0xff)
					in.Reset(whole)
					dict = w.appendLast(dict[:0], 1<<15)
					reader.(klauspost.Resetter).Reset(in, dict)
					n, err := io.ReadFull(reader, dst[:size])
					if err != nil {
						b.Fatal(err)
					}
					w.Write(dst[:n])
					sink.Reset()
					dict = dict[:0]
					if own > 0 {
						dict = send.appendLast(dict, 1<<15)
						send.Write(dst[:n])
					}
					writer.ResetDict(&sink, dict)
					writer.Write(dst[:n])
					writer.Flush()
					return n
				})
			})
		}
	}
}
