package deflate

// A Writer compresses one message that is not all there yet. It holds a compressor until Finish or Discard. A message that is
// all there is better given to Compress.
type Writer struct {
	c      *compressor
	window *Window
}

// NewWriter begins a message. level, bits and window are those of Compress.
func NewWriter(level, bits int, window *Window) *Writer {
	level, bits = clampLevel(level), clampBits(bits)
	return &Writer{borrow(nil, level, bits, window, -1), window}
}

// Append takes the next bytes of the message, appends to dst what compressed bytes that makes, possibly none, and returns it.
func (w *Writer) Append(dst, p []byte) []byte {
	w.c.out = dst
	_, _ = w.c.flate.Write(p) // appends to w.c.out, which cannot fail
	w.window.Write(p)
	return w.taken()
}

// Flush appends to dst all that the receiver needs to decode what was appended so far, and returns it.
func (w *Writer) Flush(dst []byte) []byte {
	w.c.out = dst
	_ = w.c.flate.Flush()
	return w.taken()
}

// Finish appends the end of the message to dst and returns it. The Writer is of no further use.
func (w *Writer) Finish(dst []byte) []byte {
	w.c.out = dst
	dst = w.c.finish()
	w.c = nil
	return dst
}

// Discard gives up a message that will not be finished. After Finish it does nothing. The window is as if the receiver had got
// all that was appended.
func (w *Writer) Discard() {
	if w.c != nil {
		w.c.release()
		w.c = nil
	}
}

// taken leaves no byte of the caller's with the compressor.
func (w *Writer) taken() []byte {
	dst := w.c.out
	w.c.out = nil
	return dst
}
