package deflate

import (
	"encoding/binary"
	"sync"
)

// A shortCompressor compresses short messages with the fixed codes of RFC 1951 3.2.6: the codes of a dynamic block would cost
// them more than they save, and klauspost/compress looks for no matches in less than 128 bytes, which is where context takeover
// saves most.
type shortCompressor struct {
	seen [1 << shortHashBits]uint16 // where in text four bytes were last, plus one, by their hash
	text []byte                     // the history, then the message
}

const (
	shortAlone    = 128     // a message below this is short
	shortFollower = 384     // so is one below this if there is at least as much history
	shortHistory  = 1 << 12 // the most history that is looked at
	shortHashBits = 12
	shortestMatch = 4
	longestMatch  = 258
)

// isShort reports whether compressShort serves a message of size bytes best.
func isShort(size, history int) bool {
	return size < shortAlone || size < shortFollower && size <= history
}

// shortCompressors lends each short message 12 KB.
var shortCompressors = sync.Pool{New: func() any { return new(shortCompressor) }}

// compressShort appends to dst the compressed payload of a short message, below 1<<12 bytes. It refers to at most reach bytes back.
func compressShort(dst, src []byte, window *Window, reach int) []byte {
	c := shortCompressors.Get().(*shortCompressor)
	defer shortCompressors.Put(c)
	w := bitWriter{dst: dst}
	w.put(fixedBlock, 3)
	c.text = append(window.appendLast(c.text[:0], shortHistory), src...)
	c.encode(&w, len(c.text)-len(src), reach)
	w.put(fixedEnd, 7)
	w.put(storedBlock, 3)
	out := w.flush()
	if stored := 5 + len(src) + 1; len(out)-len(dst) > stored {
		n := uint16(len(src))
		out = append(dst, storedBlock)
		out = binary.LittleEndian.AppendUint16(out, n)
		out = binary.LittleEndian.AppendUint16(out, ^n)
		out = append(out, src...)
		out = append(out, storedBlock)
	}
	return out
}

// encode writes text[at:] as literals and matches.
func (c *shortCompressor) encode(w *bitWriter, at, reach int) {
	clear(c.seen[:])
	text := c.text
	hashed := max(0, len(text)-shortestMatch+1) // how far there are four bytes
	i := 0
	for ; i+4 <= at && i+8 <= len(text); i += 4 {
		v := binary.LittleEndian.Uint64(text[i:])
		c.seen[shortHash(uint32(v))] = uint16(i + 1)
		c.seen[shortHash(uint32(v>>8))] = uint16(i + 2)
		c.seen[shortHash(uint32(v>>16))] = uint16(i + 3)
		c.seen[shortHash(uint32(v>>24))] = uint16(i + 4)
	}
	for ; i < min(at, hashed); i++ {
		c.see(i)
	}
	for at < hashed {
		from, ok := c.see(at)
		if !ok || at-from > reach {
			w.literal(text[at])
			at++
			continue
		}
		n := 0
		for n < longestMatch && at+n < len(text) && text[at+n] == text[from+n] {
			n++
		}
		if n < shortestMatch {
			w.literal(text[at])
			at++
			continue
		}
		w.match(n, at-from)
		for i := at + 1; i < min(at+n, hashed); i++ {
			c.see(i)
		}
		at += n
	}
	for _, b := range text[at:] {
		w.literal(b)
	}
}

// see remembers where the four bytes at i are, and returns where they, or others of that hash, were before.
func (c *shortCompressor) see(i int) (before int, ok bool) {
	h := shortHash(binary.LittleEndian.Uint32(c.text[i:]))
	before = int(c.seen[h]) - 1
	c.seen[h] = uint16(i + 1)
	return before, before >= 0
}

func shortHash(v uint32) uint32 { return v * 2654435761 >> (32 - shortHashBits) }
