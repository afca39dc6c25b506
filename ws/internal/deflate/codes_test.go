package deflate

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// Compressors hardly ever make codes of more than a dozen bits, nor the worst case of 48 bits for one match. Random codes do.
func TestRandomCodes(t *testing.T) {
	r := newRand()
	trials := 2000
	if testing.Short() || raceEnabled {
		trials = 200
	}
	for range trials {
		src := randomMessage(r)
		if _, err := Decompress(nil, src, noLimit, 15, nil); err != nil {
			t.Fatalf("%x: %v", src, err)
		}
		compareInflaters(t, src, nil, 15)
		compareReader(t, src, 15, r)
	}
}

// randomMessage returns a message of dynamic blocks with random codes.
func randomMessage(r *rand.Rand) []byte {
	w := bitWriter{}
	size := 0
	for range 1 + r.IntN(3) {
		size += randomBlock(&w, r, size)
	}
	w.put(storedBlock, 3)
	return w.flush()
}

// randomBlock appends a block to what inflates to size bytes already, and returns how many it adds.
func randomBlock(w *bitWriter, r *rand.Rand, size int) (added int) {
	literals := randomLengths(r, numLiterals, 2+r.IntN(numLiterals-1), endOfBlock)
	distances := randomLengths(r, numDistances, 1+r.IntN(numDistances), 0)

	w.put(0b10<<1, 3)
	w.put(numLiterals-257, 5)
	w.put(numDistances-1, 5)
	w.put(15, 4)
	for _, symbol := range codeLengthOrder {
		// Sixteen codes of four bits, for the lengths as they are.
		if symbol < 16 {
			w.put(4, 3)
		} else {
			w.put(0, 3)
		}
	}
	for _, n := range append(append([]uint8{}, literals...), distances...) {
		w.put(uint32(bits.Reverse8(n)>>4), 4)
	}

	put := canonical(literals, w)
	putDistance := canonical(distances, w)
	for range r.IntN(400) {
		symbol := r.IntN(numLiterals)
		if literals[symbol] == 0 || symbol == endOfBlock {
			continue
		}
		if symbol < endOfBlock {
			put(symbol)
			added++
			continue
		}
		code := r.IntN(numDistances)
		dist := distanceMeanings[code]
		if distances[code] == 0 || dist.value() > size+added {
			continue
		}
		length := literalMeanings[symbol]
		extra := r.Uint32() & (1<<length.extra() - 1)
		put(symbol)
		w.put(extra, length.extra())
		putDistance(code)
		w.put(min(r.Uint32()&(1<<dist.extra()-1), uint32(size+added-dist.value())), dist.extra())
		added += length.value() + int(extra)
	}
	put(endOfBlock)
	return added
}

// randomLengths returns the lengths of a complete code for some of all symbols, must among them, as deep as allowed.
func randomLengths(r *rand.Rand, all, some, must int) []uint8 {
	leaves := []uint8{0}
	deepest := 0
	for len(leaves) < some {
		i := r.IntN(len(leaves))
		if r.IntN(3) > 0 {
			i = deepest
		}
		if leaves[i] == maxCodeLength {
			deepest = r.IntN(len(leaves))
			continue
		}
		leaves[i]++
		leaves = append(leaves, leaves[i])
		deepest = i
	}
	if len(leaves) == 1 {
		leaves[0] = 1 // the single code of one bit
	}
	lengths := make([]uint8, all)
	symbols := r.Perm(all)
	for i, n := range leaves {
		lengths[symbols[i]] = n
	}
	if lengths[must] == 0 {
		i := symbols[0]
		lengths[must], lengths[i] = lengths[i], 0
	}
	return lengths
}

// canonical returns what puts a symbol in the code with the given lengths.
func canonical(lengths []uint8, w *bitWriter) func(symbol int) {
	codes := make([]uint32, len(lengths))
	code := uint32(0)
	for n := uint8(1); n <= maxCodeLength; n++ {
		code <<= 1
		for symbol, length := range lengths {
			if length == n {
				codes[symbol] = bits.Reverse32(code) >> (32 - n)
				code++
			}
		}
	}
	return func(symbol int) { w.put(codes[symbol], uint(lengths[symbol])) }
}

// The tables have room for the codes that need most, those of zlib's enough.c; how many codes they have of each length:
func TestTableSizes(t *testing.T) {
	tests := []struct {
		counts   [maxCodeLength + 1]int
		root     uint
		size     int
		meanings []entry
	}{
		{[...]int{0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 117, 1, 1, 1, 162}, literalRoot, 1332, literalMeanings[:]},
		{[...]int{0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 9, 9, 1, 1, 1, 2}, distanceRoot, 400, distanceMeanings[:]},
	}
	for _, test := range tests {
		var lengths []uint8
		for n, count := range test.counts {
			for range count {
				lengths = append(lengths, uint8(n))
			}
		}
		table := make([]entry, test.size)
		if !makeTable(table, test.root, lengths, test.meanings) || table[test.size-1] == 0 {
			t.Errorf("root %d: the table is not what it must be", test.root)
		}
	}
	if literalSize < 1332 || distanceSize < 400 {
		t.Error("the tables are too small")
	}
}
