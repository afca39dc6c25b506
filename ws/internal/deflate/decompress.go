package deflate

import (
	"math"
	"sync"
)

// inflaters lends each message the 10 KB that inflating needs.
var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// Decompress appends to dst the message whose whole compressed payload is src, and returns it (RFC 7692 7.2.2).
//
// The result has at most limit bytes, or the error is ErrTooLarge, and no buffer of more is ever made. bits, 8 to 15, is the
// window that the peer agreed to: a reference further back is ErrCorrupt, like everything else that is wrong with src. window
// is that of this direction, with at least those bits, and is updated; or it is nil without context takeover. dst's spare
// capacity may be written to beyond the result. After an error dst is returned as it was, and the window is of no further use.
//
// src is only read; dst belongs to the caller. Calls may be concurrent, as long as each has its own window.
func Decompress(dst, src []byte, limit int64, bits int, window *Window) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	defer inflaters.Put(f)
	f.reset(clampBits(bits))

	base := len(dst)
	most := base + int(min(max(limit, 0), int64(math.MaxInt-base)))
	at := base
	for {
		out := dst[:min(cap(dst), most)]
		end, used, st := f.inflate(out, base, at, window, src)
		at, src = end, src[used:]
		switch {
		case st == corrupt:
			return dst[:base], ErrCorrupt
		case st == needInput && !f.complete(src):
			return dst[:base], ErrCorrupt
		case st == needInput:
			window.Write(out[base:at])
			return out[:at], nil
		case at == most:
			return dst[:base], ErrTooLarge
		}
		dst = grow(dst[:at], most, max(at-base, 3*len(src)))
	}
}

// grow makes room for n more bytes, at least for a few, and for no more than most in all.
func grow(dst []byte, most, n int) []byte {
	grown := make([]byte, len(dst), min(most, len(dst)+max(n, 512)))
	copy(grown, dst)
	return grown
}
