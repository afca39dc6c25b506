package deflate

import "encoding/binary"

// What the fast loop may read and write in one turn: two refills; three literals, or two and the longest match with the
// overshoot of its last word.
const (
	fastInput  = 16
	fastOutput = 3 + 258 + 8
)

// symbols decodes literals and matches until their block ends.
func (f *inflater) symbols(out []byte, base, at int, window *Window, src []byte, p int) (int, int, status, bool) {
	if f.left > 0 {
		n := min(f.left, len(out)-at)
		copyMatch(out, base, at, window, f.dist, n)
		at += n
		if f.left -= n; f.left > 0 {
			return p, at, needOutput, false
		}
	}
	c, bits, nbits, held := f.codes, f.bits, f.nbits, window.Len()
	for len(src)-p >= fastInput && len(out)-at >= fastOutput {
		bits |= binary.LittleEndian.Uint64(src[p:]) << (nbits & 63)
		p += int(63-nbits) >> 3
		nbits |= 56
		e := c.literals[bits&(1<<literalRoot-1)]
		if e.literal() {
			out[at] = byte(e >> 16)
			at++
			bits >>= e.length()
			nbits -= e.length()
			e = c.literals[bits&(1<<literalRoot-1)]
			if e.literal() {
				out[at] = byte(e >> 16)
				at++
				bits >>= e.length()
				nbits -= e.length()
				e = c.literals[bits&(1<<literalRoot-1)]
				if e.literal() {
					out[at] = byte(e >> 16)
					at++
					bits >>= e.length()
					nbits -= e.length()
					continue
				}
			}
			bits |= binary.LittleEndian.Uint64(src[p:]) << (nbits & 63)
			p += int(63-nbits) >> 3
			nbits |= 56
		}
		if e&entrySpecial != 0 {
			if e&entryLink != 0 {
				bits >>= literalRoot
				nbits -= literalRoot
				e = c.literals[e.value()+int(bits&(1<<e.extra()-1))]
				if e.literal() {
					out[at] = byte(e >> 16)
					at++
					bits >>= e.length()
					nbits -= e.length()
					continue
				}
			}
			if e&entryEnd != 0 {
				f.endBlock(bits>>e.length(), nbits-e.length())
				return p, at, 0, true
			}
			if e&entryBad != 0 {
				return p, at, corrupt, false
			}
		}
		bits >>= e.length()
		length := e.value() + int(bits&(1<<e.extra()-1))
		bits >>= e.extra()
		nbits -= e.length() + e.extra()

		e = c.distances[bits&(1<<distanceRoot-1)]
		if e&entrySpecial != 0 {
			if e&entryLink != 0 {
				bits >>= distanceRoot
				nbits -= distanceRoot
				e = c.distances[e.value()+int(bits&(1<<e.extra()-1))]
			}
			if e&entryBad != 0 {
				return p, at, corrupt, false
			}
		}
		bits >>= e.length()
		dist := e.value() + int(bits&(1<<e.extra()-1))
		bits >>= e.extra()
		nbits -= e.length() + e.extra()

		if dist > f.reach || dist > at-base+held {
			return p, at, corrupt, false
		}
		if dist < 8 || dist > at-base {
			copyMatch(out, base, at, window, dist, length)
			at += length
			continue
		}
		from, end := at-dist, at+length
		for at < end {
			binary.LittleEndian.PutUint64(out[at:], binary.LittleEndian.Uint64(out[from:]))
			at += 8
			from += 8
		}
		at = end
	}
	f.bits, f.nbits = bits&(1<<nbits-1), nbits
	return f.lastSymbols(out, base, at, window, src, p)
}

// lastSymbols is symbols where input or output come to an end: it takes a symbol only when all its bits are there.
func (f *inflater) lastSymbols(out []byte, base, at int, window *Window, src []byte, p int) (int, int, status, bool) {
	held := window.Len()
	for {
		r := bitReader{f.bits, f.nbits, src, p}
		r.refill()
		e, taken := lookup(f.codes.literals[:], literalRoot, r.bits)
		switch {
		case taken > r.nbits:
			return p, at, needInput, false
		case e&entryBad != 0:
			return p, at, corrupt, false
		case e&entryEnd != 0:
			f.endBlock(r.bits>>taken, r.nbits-taken)
			return r.p, at, 0, true
		case e.literal():
			if at == len(out) {
				return p, at, needOutput, false
			}
			out[at] = byte(e >> 16)
			at++
		default:
			length := e.value() + int(r.bits>>taken&(1<<e.extra()-1))
			taken += e.extra()
			d, more := lookup(f.codes.distances[:], distanceRoot, r.bits>>taken)
			taken += more
			f.dist = d.value() + int(r.bits>>taken&(1<<d.extra()-1))
			taken += d.extra()
			switch {
			case taken > r.nbits:
				return p, at, needInput, false
			case d&entryBad != 0 || f.dist > f.reach || f.dist > at-base+held:
				return p, at, corrupt, false
			}
			n := min(length, len(out)-at)
			copyMatch(out, base, at, window, f.dist, n)
			at += n
			f.left = length - n
		}
		p, f.bits, f.nbits = r.p, r.bits>>taken, r.nbits-taken
		if f.left > 0 {
			return p, at, needOutput, false
		}
	}
}

// lookup finds the code that bits begin with, and its length.
func lookup(table []entry, root uint, bits uint64) (e entry, length uint) {
	e = table[bits&(1<<root-1)]
	if e&entryLink == 0 {
		return e, e.length()
	}
	e = table[e.value()+int(bits>>root&(1<<e.extra()-1))]
	return e, root + e.length()
}

// endBlock leaves a compressed block. What follows a final block begins with a byte of its own (RFC 7692 7.2.3.5).
func (f *inflater) endBlock(bits uint64, nbits uint) {
	bits &= 1<<nbits - 1
	if f.final {
		bits >>= nbits & 7
		nbits &^= 7
	}
	f.bits, f.nbits, f.state = bits, nbits, inHeader
}

// copyMatch copies n bytes from dist before out[at] to there. What lies before out[base] is at the end of the window.
func copyMatch(out []byte, base, at int, window *Window, dist, n int) {
	end := at + n
	if before := dist - (at - base); before > 0 {
		at += window.copyLast(out[at:end], before)
	}
	for from := at - dist; at < end; {
		at += copy(out[at:end], out[from:at])
	}
}
