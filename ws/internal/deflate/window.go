package deflate

// A Window holds the last bytes that one direction of a connection with context takeover has carried, uncompressed: all that
// the next message may refer back to (RFC 7692 7.1.1). It allocates as it fills, never more than its size. A Window belongs
// to one direction; it must not be used concurrently.
type Window struct {
	bits int
	buf  []byte
}

// NewWindow returns an empty window of at most 1<<bits bytes; bits goes from 8 to 15, and is brought into that range.
func NewWindow(bits int) *Window {
	return &Window{bits: clampBits(bits)}
}

// Bytes returns what the window holds, oldest first, until the next Write. The caller must not change it.
func (w *Window) Bytes() []byte {
	if w == nil {
		return nil
	}
	return w.buf
}

// Write appends the uncompressed bytes of a compressed message, and forgets what no longer fits. Compress, Decompress,
// Reader and Writer call it themselves; whoever sends a message compressed elsewhere, without context, must call it.
func (w *Window) Write(p []byte) {
	size := 1 << w.bits
	if len(p) >= size {
		p = p[len(p)-size:]
		w.buf = w.buf[:0]
	}
	if over := len(w.buf) + len(p) - size; over > 0 {
		w.buf = w.buf[:copy(w.buf, w.buf[over:])]
	}
	if need := len(w.buf) + len(p); need > cap(w.buf) {
		grown := make([]byte, len(w.buf), min(size, max(need, 2*cap(w.buf))))
		copy(grown, w.buf)
		w.buf = grown
	}
	w.buf = append(w.buf, p...)
}
