package deflate

// A Window holds the last bytes that one direction of a connection with context takeover has carried, uncompressed: all that
// the next message may refer back to (RFC 7692 7.1.1). It allocates as it fills, never more than its size, and a nil Window is
// one that stays empty. A Window belongs to one direction; it must not be used concurrently.
type Window struct {
	bits int
	buf  []byte
	next int // once buf is full, where the oldest byte is and the next one goes
}

// NewWindow returns an empty window of at most 1<<bits bytes; bits goes from 8 to 15, and is brought into that range. To receive
// with, it must have the bits that were agreed; to send with, it may have less, like DefaultSendWindowBits.
func NewWindow(bits int) *Window {
	return &Window{bits: clampBits(bits)}
}

// Len returns how many bytes the window holds.
func (w *Window) Len() int {
	if w == nil {
		return 0
	}
	return len(w.buf)
}

// Write appends the uncompressed bytes of a compressed message, and forgets what no longer fits. Compress, Decompress,
// Reader and Writer call it themselves; whoever sends what was compressed elsewhere, without context, must call it.
func (w *Window) Write(p []byte) {
	if w == nil {
		return
	}
	size := 1 << w.bits
	if len(p) >= size {
		p = p[len(p)-size:]
		w.buf, w.next = w.buf[:0], 0
	}
	if room := size - len(w.buf); room > 0 {
		n := min(room, len(p))
		w.grow(n)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(w.buf[w.next:], p)
		w.next = (w.next + n) % size
		p = p[n:]
	}
}

// grow makes room for n more bytes, which fit.
func (w *Window) grow(n int) {
	need := len(w.buf) + n
	if need <= cap(w.buf) {
		return
	}
	grown := make([]byte, len(w.buf), min(1<<w.bits, max(need, 2*cap(w.buf))))
	copy(grown, w.buf)
	w.buf = grown
}

// reset forgets everything but the memory.
func (w *Window) reset(bits int) {
	w.bits, w.buf, w.next = bits, w.buf[:0], 0
}

// appendLast appends the last n bytes, or all if there are fewer, to dst.
func (w *Window) appendLast(dst []byte, n int) []byte {
	n = min(n, w.Len())
	if n == 0 {
		return dst
	}
	older, newer := w.buf[w.next:], w.buf[:w.next]
	if n > len(newer) {
		dst = append(dst, older[len(older)-(n-len(newer)):]...)
		n = len(newer)
	}
	return append(dst, newer[len(newer)-n:]...)
}

// copyLast copies from the last n bytes, of which there are so many, to dst, as much as goes.
func (w *Window) copyLast(dst []byte, n int) (copied int) {
	older, newer := w.buf[w.next:], w.buf[:w.next]
	if n > len(newer) {
		copied = copy(dst, older[len(older)-(n-len(newer)):])
		n = len(newer)
	}
	return copied + copy(dst[copied:], newer[len(newer)-n:])
}
