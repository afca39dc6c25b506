package deflate

import (
	"sync"

	"github.com/klauspost/compress/flate"
)

// The levels of compress/flate.
const (
	minLevel = flate.HuffmanOnly
	maxLevel = flate.BestCompression
)

// A compressor is a flate.Writer that appends to out.
type compressor struct {
	flate   *flate.Writer
	out     []byte
	history []byte
	pool    *sync.Pool
}

func (c *compressor) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}

// levelPools and windowPools lend each message a compressor, 0.7 to 1.2 MB. Those of a level may refer 1<<15 bytes back, those of
// windowPools, by bits, no further than their window; they work like level 5.
var (
	levelPools  [maxLevel - minLevel + 1]sync.Pool
	windowPools [MaxWindowBits]sync.Pool
)

// borrow returns a compressor that appends to dst and is primed with the window. It refers at most 1<<bits bytes back; size is the
// message's, or -1 where that is not known yet.
func borrow(dst []byte, level, bits int, window *Window, size int) *compressor {
	reach := 1 << bits
	history := window.Len()
	pool := &levelPools[level-minLevel]
	switch {
	case !seeksMatches(level):
		history = 0
	case bits == MaxWindowBits:
	case size < 0 || size > reach/2 && size+history > reach:
		pool = &windowPools[bits]
	default:
		// What is not there cannot be referred to, so that any level will do.
		history = min(history, reach-size)
	}
	c, _ := pool.Get().(*compressor)
	if c == nil {
		c = &compressor{pool: pool}
		if pool == &levelPools[level-minLevel] {
			c.flate, _ = flate.NewWriter(c, level)
		} else {
			c.flate, _ = flate.NewWriterWindow(c, reach)
		}
	}
	c.out = dst
	c.history = window.appendLast(c.history[:0], history)
	c.flate.ResetDict(c, c.history)
	return c
}

// finish ends the message, without the tail (RFC 7692 7.2.1), and gives the compressor back.
func (c *compressor) finish() []byte {
	_ = c.flate.Flush() // appends to c.out, which cannot fail
	out := c.out[:len(c.out)-4]
	c.release()
	return out
}

func (c *compressor) release() {
	c.out = nil
	c.pool.Put(c)
}

// Compress appends to dst the compressed payload of the message src, and returns it (RFC 7692 7.2.1).
//
// level is that of compress/flate, from -2 to 9; bits, 8 to 15, is the window the receiver agreed to, and no reference reaches
// further back. Both are brought into their range. A message whose size and history exceed a window of less than 15 bits is
// compressed at level 5, if its level looks for matches at all.
//
// window is that of this direction and is updated, or nil without context takeover. It may be smaller than the receiver's,
// and had better be: its cost is that of reading it again for each message.
//
// src is only read; dst belongs to the caller. Calls may be concurrent, as long as each has its own window.
func Compress(dst, src []byte, level, bits int, window *Window) []byte {
	level, bits = clampLevel(level), clampBits(bits)
	switch {
	case len(src) == 0:
		return append(dst, 0) // RFC 7692 7.2.3.6
	case isShort(len(src), window.Len()) && seeksMatches(level):
		dst = compressShort(dst, src, window, 1<<bits)
	default:
		c := borrow(dst, level, bits, window, len(src))
		_, _ = c.flate.Write(src)
		dst = c.finish()
	}
	window.Write(src)
	return dst
}

func seeksMatches(level int) bool { return level != flate.HuffmanOnly && level != flate.NoCompression }

func clampLevel(level int) int { return min(max(level, minLevel), maxLevel) }

func clampBits(bits int) int { return min(max(bits, MinWindowBits), MaxWindowBits) }
