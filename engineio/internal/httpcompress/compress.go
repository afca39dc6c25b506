package httpcompress

import (
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/flate"
)

// DefaultThreshold is from how many bytes on a body is compressed, as in the official server.
const DefaultThreshold = 1024

// DefaultLevel is the level of compression where none is named.
const DefaultLevel = 1

// Compressor compresses bodies. The zero value is ready for use, by any number of goroutines at once; it must not be
// copied then.
type Compressor struct {
	// Threshold is from how many bytes on a body is compressed. 0: DefaultThreshold; negative: none is.
	Threshold int
	// Level is 1, the fastest, to 9, the smallest. 0: DefaultLevel. Others are taken for the nearest of these.
	Level int

	pool sync.Pool // of *writer
}

// writer is a compressor at rest, and what it appends to while it is at work.
type writer struct {
	flate *flate.Writer
	out   []byte
}

func (w *writer) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// Append compresses body, for a client that sent these Accept-Encoding headers. It appends what comes out to dst, which may
// share nothing with body, and tells which coding it is. If that is Identity, nothing has been appended: body is to be
// sent as it is, being too short, or not acceptable or not shorter in another coding.
func (c *Compressor) Append(dst, body []byte, accept []string) ([]byte, Encoding) {
	threshold := c.Threshold
	if threshold == 0 {
		threshold = DefaultThreshold
	}
	if threshold < 0 || len(body) < threshold {
		return dst, Identity
	}
	coding := Negotiate(accept)
	if coding == Identity {
		return dst, Identity
	}
	n := len(dst)
	out := c.compress(dst, body, coding)
	if len(out)-n >= len(body) {
		return out[:n], Identity
	}
	return out, coding
}

func (c *Compressor) compress(dst, body []byte, coding Encoding) []byte {
	w := c.writer()
	if coding == Gzip {
		// RFC 1952 2.3: deflate, no flags, no time, nothing known of the system.
		w.out = append(dst, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)
	} else {
		// RFC 1950 2.2: deflate with a window of 32 KiB, the fastest level, and what makes it a multiple of 31.
		w.out = append(dst, 0x78, 0x01)
	}
	w.flate.Reset(w)
	// Neither can fail: appending does not.
	_, _ = w.flate.Write(body)
	_ = w.flate.Close()
	out := w.out
	w.out = nil
	c.pool.Put(w)

	if coding == Gzip {
		out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
		return binary.LittleEndian.AppendUint32(out, uint32(len(body)))
	}
	return binary.BigEndian.AppendUint32(out, adler32.Checksum(body))
}

func (c *Compressor) writer() *writer {
	if w, ok := c.pool.Get().(*writer); ok {
		return w
	}
	level := c.Level
	if level == 0 {
		level = DefaultLevel
	}
	w := new(writer)
	var err error
	if w.flate, err = flate.NewWriter(w, min(max(level, flate.BestSpeed), flate.BestCompression)); err != nil {
		panic(err) // the only error is a level out of range
	}
	return w
}
