package deflate

import "encoding/binary"

// A bitReader takes bits from src, lowest first (RFC 1951 3.1.1).
type bitReader struct {
	bits  uint64
	nbits uint
	src   []byte
	p     int
}

// refill leaves at least 56 bits, if src has that many.
func (r *bitReader) refill() {
	if len(r.src)-r.p >= 8 {
		r.bits |= binary.LittleEndian.Uint64(r.src[r.p:]) << (r.nbits & 63)
		r.p += int(63-r.nbits) >> 3
		r.nbits |= 56
		return
	}
	r.bits &= 1<<r.nbits - 1
	for r.nbits < 56 && r.p < len(r.src) {
		r.bits |= uint64(r.src[r.p]) << r.nbits
		r.p++
		r.nbits += 8
	}
}

// take takes n bits, at most 56, or none if there are fewer.
func (r *bitReader) take(n uint) (uint64, bool) {
	if r.nbits < n {
		r.refill()
		if r.nbits < n {
			return 0, false
		}
	}
	v := r.bits & (1<<n - 1)
	r.bits >>= n
	r.nbits -= n
	return v, true
}

// align drops what is left of the current byte.
func (r *bitReader) align() {
	r.bits >>= r.nbits & 7
	r.nbits &^= 7
}

// unread gives whole bytes back to src.
func (r *bitReader) unread() {
	r.p -= int(r.nbits >> 3)
	r.nbits &= 7
	r.bits &= 1<<r.nbits - 1
}
