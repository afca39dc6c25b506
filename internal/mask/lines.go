package mask

import "encoding/binary"

// lineSize is that of a line of the processor's cache.
const lineSize = 64

// xorLinesInGo writes src, masked with key, to dst, which is as long. Its length is a multiple of lineSize.
func xorLinesInGo(dst, src []byte, key uint32) {
	le := binary.LittleEndian
	k := uint64(key)<<32 | uint64(key)
	for len(src) >= lineSize {
		d, s := (*[lineSize]byte)(dst), (*[lineSize]byte)(src)
		le.PutUint64(d[0:], le.Uint64(s[0:])^k)
		le.PutUint64(d[8:], le.Uint64(s[8:])^k)
		le.PutUint64(d[16:], le.Uint64(s[16:])^k)
		le.PutUint64(d[24:], le.Uint64(s[24:])^k)
		le.PutUint64(d[32:], le.Uint64(s[32:])^k)
		le.PutUint64(d[40:], le.Uint64(s[40:])^k)
		le.PutUint64(d[48:], le.Uint64(s[48:])^k)
		le.PutUint64(d[56:], le.Uint64(s[56:])^k)
		dst, src = dst[lineSize:], src[lineSize:]
	}
}
