package deflate

// status says why an inflater stopped.
type status uint8

const (
	needInput  status = iota // all that the input holds is decoded; the rest of a header or symbol stays with the caller
	needOutput               // the output is full and more would follow
	corrupt
)

// state is where in a block an inflater is.
type state uint8

const (
	inHeader state = iota // before a block
	inStored              // in a stored block: copied bytes are left
	inCodes               // in a compressed block
)

// An inflater decodes the blocks of one message (RFC 1951). It holds no input and no output, only where it stands, so that it
// can stop and go on at any byte of either.
type inflater struct {
	bits  uint64 // input taken but not used yet, the next bit lowest
	nbits uint   // how many there are; less than 8 between calls
	state state
	final bool // the block is, or the last one was, a final one (BFINAL)
	left  int  // of a stored block, or of a match that found no room
	reach int  // how far back a match may go: the window of RFC 7692
	dist  int  // of that match
	codes *codes

	own     codes // of the last dynamic block
	lengths [numLiterals + numDistances]uint8
	meta    [lengthSize]entry
}

// reset prepares for a message from a peer whose window has the given bits.
func (f *inflater) reset(bits int) {
	f.bits, f.nbits, f.state, f.final, f.left = 0, 0, inHeader, false, 0
	f.reach = 1 << bits
	f.codes = nil
}

// inflate decodes from src to out[at:], and returns how much of src is used and up to where out is filled; bytes of out
// behind that may be overwritten too. out[base:at] has been decoded before, and the window came before that.
func (f *inflater) inflate(out []byte, base, at int, window *Window, src []byte) (end, used int, st status) {
	p := 0
	for {
		var ok bool
		switch f.state {
		case inHeader:
			p, st, ok = f.header(src, p)
		case inStored:
			p, at, st, ok = f.stored(out, at, src, p)
		case inCodes:
			p, at, st, ok = f.symbols(out, base, at, window, src, p)
		}
		if !ok {
			return at, p - f.unread(), st
		}
	}
}

// unread gives up the whole bytes among the bits, and returns how many: the caller's rest of src begins with them.
func (f *inflater) unread() int {
	n := int(f.nbits >> 3)
	f.nbits &= 7
	f.bits &= 1<<f.nbits - 1
	return n
}

// header reads the header of a block, with the codes of a dynamic one, or nothing when src does not hold all of it.
func (f *inflater) header(src []byte, p int) (int, status, bool) {
	r := bitReader{f.bits, f.nbits, src, p}
	kind, ok := r.take(3)
	if !ok {
		return p, needInput, false
	}
	next := inCodes
	switch kind >> 1 {
	case 0:
		r.align()
		n, ok := r.take(32)
		if !ok {
			return p, needInput, false
		}
		if uint16(n) != ^uint16(n>>16) {
			return p, corrupt, false
		}
		f.left = int(uint16(n))
		next = inStored
		r.unread()
	case 1:
		f.codes = fixedCodes()
	case 2:
		if st, ok := f.dynamic(&r); !ok {
			return p, st, false
		}
		f.codes = &f.own
	default:
		return p, corrupt, false
	}
	f.bits, f.nbits = r.bits, r.nbits
	f.final = kind&1 == 1
	f.state = next
	return r.p, 0, true
}

// codeLengthOrder is the order in which the lengths of the code length code come (RFC 1951 3.2.7).
var codeLengthOrder = [numCodeLengths]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes of a block that brings its own (RFC 1951 3.2.7).
func (f *inflater) dynamic(r *bitReader) (status, bool) {
	v, ok := r.take(14)
	if !ok {
		return needInput, false
	}
	literals, distances, metas := int(v&31)+257, int(v>>5&31)+1, int(v>>10)+4
	if literals > numLiterals || distances > numDistances {
		return corrupt, false
	}
	clear(f.lengths[:numCodeLengths])
	for _, symbol := range codeLengthOrder[:metas] {
		if v, ok = r.take(3); !ok {
			return needInput, false
		}
		f.lengths[symbol] = uint8(v)
	}
	if !makeTable(f.meta[:], lengthRoot, f.lengths[:numCodeLengths], lengthMeanings[:]) {
		return corrupt, false
	}
	lengths := f.lengths[:literals+distances]
	for i := 0; i < len(lengths); {
		r.refill()
		e := f.meta[r.bits&(lengthSize-1)]
		var count int
		symbol, repeated := e.value(), uint8(0)
		take := e.length()
		switch {
		case e == entryBad:
			return corrupt, false
		case symbol < 16:
			repeated, count = uint8(symbol), 1
		case symbol == 16:
			if i == 0 {
				return corrupt, false
			}
			repeated, count = lengths[i-1], 3+int(r.bits>>take&3)
			take += 2
		case symbol == 17:
			count = 3 + int(r.bits>>take&7)
			take += 3
		default:
			count = 11 + int(r.bits>>take&127)
			take += 7
		}
		if take > r.nbits {
			return needInput, false
		}
		r.bits >>= take
		r.nbits -= take
		if i+count > len(lengths) {
			return corrupt, false
		}
		for range count {
			lengths[i] = repeated
			i++
		}
	}
	ok = lengths[endOfBlock] != 0 &&
		makeTable(f.own.literals[:], literalRoot, lengths[:literals], literalMeanings[:]) &&
		makeTable(f.own.distances[:], distanceRoot, lengths[literals:], distanceMeanings[:])
	return corrupt, ok
}

// stored copies what there is of a stored block.
func (f *inflater) stored(out []byte, at int, src []byte, p int) (int, int, status, bool) {
	n := copy(out[at:], src[p:min(len(src), p+f.left)])
	f.left -= n
	if f.left == 0 {
		f.state = inHeader
		return p + n, at + n, 0, true
	}
	if p+n == len(src) {
		return p + n, at + n, needInput, false
	}
	return p + n, at + n, needOutput, false
}

// complete reports whether a message may end here, rest being what the inflater left of its input: at the header of the empty
// stored block whose 00 00 ff ff the sender cut off (RFC 7692 7.2.1), or right after a final block.
func (f *inflater) complete(rest []byte) bool {
	if f.state != inHeader || len(rest) > 1 {
		return false
	}
	r := bitReader{f.bits, f.nbits, rest, 0}
	header, ok := r.take(3)
	if !ok {
		return f.final && r.nbits == 0
	}
	return header>>1 == 0 && r.nbits < 8 && r.p == len(rest)
}
