package mask

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// Key returns a fresh masking key that no earlier key helps to predict. Its
// bytes come from crypto/rand, for the key "MUST be derived from a strong
// source of entropy" (RFC 6455 5.3; 10.3 says what it protects from). Any of
// the 2^32 values may come, zero too.
//
// Key may be called concurrently and, in the long run, does not allocate.
func Key() uint32 {
	b := blocks.Get().(*block)
	key := b.take()
	blocks.Put(b)
	return key
}

// blocks is a cache, not state: losing a block costs a read from crypto/rand,
// and no two callers ever hold the same one.
var blocks = sync.Pool{New: func() any { return &block{used: blockSize} }}

// blockSize divides the price of one read by 128 keys; larger blocks gain
// nothing and only keep more unspent keys in memory.
const blockSize = 512

// A block is random bytes read ahead; those before used are spent and zero.
type block struct {
	used   int
	random [blockSize]byte
}

func (b *block) take() uint32 {
	if b.used == blockSize {
		rand.Read(b.random[:]) // never fails: it ends the program instead
		b.used = 0
	}
	p := b.random[b.used : b.used+4]
	key := binary.LittleEndian.Uint32(p)
	clear(p)
	b.used += 4
	return key
}
