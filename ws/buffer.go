package ws

import (
	"math/bits"
	"sync"
)

// readSize is the size of the buffers that bytes are read into: large enough for many small messages in one read,
// small enough to stay in the processor's cache.
const readSize = 16 << 10

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// buffer is a growing slice from a pool: an unfinished message, or frames waiting to be written.
type buffer struct{ b []byte }

const (
	minBufferBits = 9  // 512 B
	maxBufferBits = 18 // 256 KiB: larger ones are left to the garbage collector
)

var bufferPools [maxBufferBits - minBufferBits + 1]sync.Pool

// newBuffer returns an empty buffer with room for size bytes.
func newBuffer(size int) *buffer {
	class := bufferClass(size)
	if class >= len(bufferPools) {
		return &buffer{make([]byte, 0, size)}
	}
	if b, ok := bufferPools[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, 1<<(class+minBufferBits))}
}

// bufferClass is the smallest class whose buffers hold size bytes.
func bufferClass(size int) int {
	if size <= 1<<minBufferBits {
		return 0
	}
	return bits.Len(uint(size-1)) - minBufferBits
}

// free gives the buffer back. Its bytes must not be used any more.
func (b *buffer) free() {
	class := bits.Len(uint(cap(b.b))) - 1 - minBufferBits // the largest class it can serve
	if class < 0 || class >= len(bufferPools) {
		return
	}
	b.b = b.b[:0]
	bufferPools[class].Put(b)
}

// grow makes room for at least n more bytes, doubling, in a buffer of the next class.
func (b *buffer) grow(n int) {
	if cap(b.b)-len(b.b) >= n {
		return
	}
	larger := newBuffer(max(len(b.b)+n, 2*cap(b.b)))
	larger.b = append(larger.b, b.b...)
	b.b, larger.b = larger.b, b.b
	larger.free()
}

func (b *buffer) append(p []byte) {
	b.grow(len(p))
	b.b = append(b.b, p...)
}
