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
func XOR(b []byte, key uint32) uint32 {
	le, next := binary.LittleEndian, advance(key, len(b))
	k := uint64(key)<<32 | uint64(key)
	for len(b) >= 64 {
		p := (*[64]byte)(b)
		le.PutUint64(p[0:], le.Uint64(p[0:])^k)
		le.PutUint64(p[8:], le.Uint64(p[8:])^k)
		le.PutUint64(p[16:], le.Uint64(p[16:])^k)
		le.PutUint64(p[24:], le.Uint64(p[24:])^k)
		le.PutUint64(p[32:], le.Uint64(p[32:])^k)
		le.PutUint64(p[40:], le.Uint64(p[40:])^k)
		le.PutUint64(p[48:], le.Uint64(p[48:])^k)
		le.PutUint64(p[56:], le.Uint64(p[56:])^k)
		b = b[64:]
	}
	for len(b) >= 8 {
		le.PutUint64(b, le.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k)
		k >>= 8
	}
	return next
}

// Copy writes src, masked or unmasked with key, to the first len(src) bytes of
// dst, in one pass, and returns the key to continue with, as XOR does. It
// panics if dst is shorter than src. The two must be the same memory or not
// overlap at all.
func Copy(dst, src []byte, key uint32) uint32 {
	if len(dst) < len(src) {
		panic("mask: Copy: dst is shorter than src")
	}
	le, next := binary.LittleEndian, advance(key, len(src))
	k := uint64(key)<<32 | uint64(key)
	for len(src) >= 64 {
		d, s := (*[64]byte)(dst), (*[64]byte)(src)
		le.PutUint64(d[0:], le.Uint64(s[0:])^k)
		le.PutUint64(d[8:], le.Uint64(s[8:])^k)
		le.PutUint64(d[16:], le.Uint64(s[16:])^k)
		le.PutUint64(d[24:], le.Uint64(s[24:])^k)
		le.PutUint64(d[32:], le.Uint64(s[32:])^k)
		le.PutUint64(d[40:], le.Uint64(s[40:])^k)
		le.PutUint64(d[48:], le.Uint64(s[48:])^k)
		le.PutUint64(d[56:], le.Uint64(s[56:])^k)
		dst, src = dst[64:], src[64:]
	}
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
