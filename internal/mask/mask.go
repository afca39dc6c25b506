// Package mask applies the WebSocket masking of RFC 6455 5.3.
//
// A masking key is held as the uint32 that its four bytes give when read
// little-endian, so that shifting it right yields the bytes in wire order.
package mask

import (
	"encoding/binary"
	"math/bits"
)

// XOR masks or unmasks b in place with key and returns the key to continue
// with: XOR(b[n:], XOR(b[:n], key)) is XOR(b, key) for every n. The rotation
// of the key is the whole state, and b may have any length and alignment.
//
// Masking is its own inverse (RFC 6455 5.3). A key of zero leaves b as it is.
func XOR(b []byte, key uint32) uint32 { return apply(b, b, key) }

// Copy writes src, masked or unmasked with key, to the first len(src) bytes of
// dst, in one pass, and returns the key to continue with, as XOR does. It
// panics if dst is shorter than src. The two must be the same memory or not
// overlap at all.
func Copy(dst, src []byte, key uint32) uint32 {
	if len(dst) < len(src) {
		panic("mask: Copy: dst is shorter than src")
	}
	return apply(dst, src, key)
}

func apply(dst, src []byte, key uint32) uint32 {
	le, next := binary.LittleEndian, advance(key, len(src))
	if len(src) >= lineSize {
		n := len(src) &^ (lineSize - 1)
		xorLines(dst[:n], src[:n], key)
		dst, src = dst[n:], src[n:]
	}
	k := uint64(key)<<32 | uint64(key)
	for len(src) >= 8 {
		le.PutUint64(dst, le.Uint64(src)^k)
		dst, src = dst[8:], src[8:]
	}
	for i, c := range src {
		dst[i] = c ^ byte(k)
		k >>= 8
	}
	return next
}

// advance returns key rotated past n bytes.
func advance(key uint32, n int) uint32 {
	return bits.RotateLeft32(key, -8*(n&3))
}
