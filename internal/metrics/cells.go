package metrics

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// cells count a few things that belong together. Each count goes to one cell at random, so that cores that count at the same time do not
// wait for each other's cache lines.
type cells []cell // a power of two

// cell fills the two cache lines that processors fetch together.
type cell struct {
	values [8]atomic.Uint64
	_      [64]byte
}

// maxCells bounds how many cells there are.
const maxCells = 32

func newCells() cells {
	n := 1
	for n < 2*runtime.GOMAXPROCS(0) && n < maxCells {
		n *= 2
	}
	return make(cells, n)
}

func (c cells) any() *cell { return &c[rand.Uint32()&uint32(len(c)-1)] }

func (c cells) add(value, n int) { c.any().values[value].Add(uint64(n)) }

func (c cells) add2(a, n, b, k int) {
	one := c.any()
	one.values[a].Add(uint64(n))
	one.values[b].Add(uint64(k))
}

func (c cells) sum(value int) (sum uint64) {
	for i := range c {
		sum += c[i].values[value].Load()
	}
	return sum
}
