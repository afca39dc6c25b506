package deflate

import (
	"math/bits"
	"sync"
)

// The sizes of RFC 1951 3.2.5 to 3.2.7.
const (
	maxCodeLength  = 15
	numLiterals    = 286 // literals, end of block and lengths that may occur
	numDistances   = 30  // distances that may occur
	numCodeLengths = 19
	endOfBlock     = 256
)

// A table is indexed by the next bits of the input, as many as its root has. Codes longer than the root lead to a subtable
// behind it. The sizes are the most that any code of so many symbols needs: zlib's enough.c, for 288 and 32 of them.
const (
	literalRoot  = 10
	literalSize  = 1334
	distanceRoot = 8
	distanceSize = 402
	lengthRoot   = 7
	lengthSize   = 1 << lengthRoot
)

// An entry is what a code stands for:
//
//	bits 0-3   how many bits to take: the code's length, in a subtable without the root
//	bits 8-11  how many extra bits follow; in a link: how many bits index the subtable
//	bits 16-30 the literal, the length or distance that the extra bits add to, or where the subtable is
//	bit 31     literal
//	bits 4-6   end of block, link to a subtable, never valid
type entry uint32

const (
	entryLiteral entry = 1 << 31
	entryEnd     entry = 1 << 4
	entryLink    entry = 1 << 5
	entryBad     entry = 1 << 6
	entrySpecial       = entryEnd | entryLink | entryBad
)

func (e entry) length() uint  { return uint(e & 15) }
func (e entry) extra() uint   { return uint(e>>8) & 15 }
func (e entry) value() int    { return int(e>>16) & 0x7fff }
func (e entry) literal() bool { return int32(e) < 0 }

// literalMeanings and distanceMeanings say what each symbol stands for, without the length of its code (RFC 1951 3.2.5).
var (
	literalMeanings  = makeLiteralMeanings()
	distanceMeanings = makeDistanceMeanings()
	lengthMeanings   = makeLengthMeanings()
)

func makeLiteralMeanings() (m [288]entry) {
	for i := range 256 {
		m[i] = entryLiteral | entry(i)<<16
	}
	m[endOfBlock] = entryEnd
	base := 3
	for i := range 28 {
		extra := max(i/4-1, 0)
		m[257+i] = entry(base)<<16 | entry(extra)<<8
		base += 1 << extra
	}
	m[285] = 258 << 16
	m[286], m[287] = entryBad, entryBad
	return m
}

func makeDistanceMeanings() (m [32]entry) {
	base := 1
	for i := range numDistances {
		extra := max(i/2-1, 0)
		m[i] = entry(base)<<16 | entry(extra)<<8
		base += 1 << extra
	}
	m[30], m[31] = entryBad, entryBad
	return m
}

func makeLengthMeanings() (m [numCodeLengths]entry) {
	for i := range m {
		m[i] = entry(i) << 16
	}
	return m
}

// codes are the two tables a compressed block is read with.
type codes struct {
	literals  [literalSize]entry
	distances [distanceSize]entry
}

// fixedCodes are those of RFC 1951 3.2.6, made once and only read afterwards.
var fixedCodes = sync.OnceValue(func() *codes {
	var lengths [288 + 32]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		case i < 288:
			lengths[i] = 8
		default:
			lengths[i] = 5
		}
	}
	c := new(codes)
	makeTable(c.literals[:], literalRoot, lengths[:288], literalMeanings[:])
	makeTable(c.distances[:], distanceRoot, lengths[288:], distanceMeanings[:])
	return c
})

// makeTable fills table for the code whose lengths are given (RFC 1951 3.2.2) and reports whether these are a code: complete,
// or a single code of one bit, or none at all, which fails once it is used (RFC 1951 3.2.7 allows both for distances).
func makeTable(table []entry, root uint, lengths []uint8, meanings []entry) bool {
	var count [maxCodeLength + 1]int
	for _, n := range lengths {
		count[n&maxCodeLength]++
	}
	left, longest := 1, uint(0)
	for n := 1; n <= maxCodeLength; n++ {
		left = left<<1 - count[n]
		if left < 0 {
			return false
		}
		if count[n] > 0 {
			longest = uint(n)
		}
	}
	if used := len(lengths) - count[0]; left > 0 && used > 0 && (used > 1 || count[1] == 0) {
		return false
	}

	var next [maxCodeLength + 2]int // of each length, where in sorted the next symbol goes
	for n := range count {
		next[n+1] = next[n] + count[n]
	}
	var sorted [288]uint16
	for symbol, n := range lengths {
		sorted[next[n&maxCodeLength]] = uint16(symbol)
		next[n&maxCodeLength]++
	}
	symbols := sorted[count[0]:len(lengths)]

	// Up to the root, the table for codes of n bits is twice that for n-1, with the codes of n bits put in.
	table[0] = entryBad
	code := uint(0) // its bits in reverse order, as the input has them
	for n := uint(1); n <= root; n++ {
		copy(table[1<<(n-1):1<<n], table[:1<<(n-1)])
		for _, symbol := range symbols[:count[n]] {
			table[code] = meanings[symbol] | entry(n)
			code = nextReversed(code, n)
		}
		symbols = symbols[count[n]:]
	}

	// Beyond the root, each subtable is as wide as the codes that begin alike need.
	var sub []entry
	low, free := ^uint(0), uint(1)<<root
	for n := root + 1; n <= longest; n++ {
		for i, symbol := range symbols[:count[n]] {
			if code&(1<<root-1) != low {
				low = code & (1<<root - 1)
				width := n - root
				for room := 1<<width - (count[n] - i); room > 0; {
					width++
					room = room<<1 - count[root+width]
				}
				sub = table[free : free+1<<width]
				table[low] = entryLink | entry(root) | entry(width)<<8 | entry(free)<<16
				free += 1 << width
			}
			for at := code >> root; at < uint(len(sub)); at += 1 << (n - root) {
				sub[at] = meanings[symbol] | entry(n-root)
			}
			code = nextReversed(code, n)
		}
		symbols = symbols[count[n]:]
	}
	return true
}

// nextReversed adds one to a code of n bits whose bits are in reverse order: the highest zero becomes one, the ones above it
// zeros. The last code has no next.
func nextReversed(code, n uint) uint {
	bit := uint(1) << bits.Len(code^(1<<n-1)) >> 1
	return code&(bit-1) | bit
}
