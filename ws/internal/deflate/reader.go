package deflate

import (
	"io"
	"sync"
)

// A Reader inflates one message as it arrives. It holds an inflater until Close: 14 KB, and without context takeover up to
// 32 KB more for what the message may refer back to.
type Reader struct {
	src     io.Reader
	window  *Window
	left    int64 // of the limit
	srcErr  error // what src said, to be heeded once its bytes are used
	err     error // the end, of one kind or another
	in      *incoming
	carried int // how much of in.buf waits for more
}

// incoming is what a Reader borrows.
type incoming struct {
	inflater inflater
	alone    Window // for a message without context takeover
	buf      [4096]byte
}

// maxEmptyReads is how often in a row a source may return nothing at all.
const maxEmptyReads = 100

var incomings = sync.Pool{New: func() any { return new(incoming) }}

// NewReader returns a Reader of the message whose compressed payload is src up to io.EOF. limit, bits and window are those of
// Decompress. The Reader belongs to one goroutine and must be closed.
func NewReader(src io.Reader, limit int64, bits int, window *Window) *Reader {
	bits = clampBits(bits)
	r := &Reader{src: src, window: window, left: max(limit, 0), in: incomings.Get().(*incoming)}
	r.in.inflater.reset(bits)
	if window == nil {
		r.in.alone.reset(bits)
		r.window = &r.in.alone
	}
	return r
}

// Read reads what the bytes that have come in so far inflate to, and waits for more only if that is nothing; it may use all of
// p meanwhile. At the end of the message it returns io.EOF, never together with bytes. ErrCorrupt and ErrTooLarge are final,
// an error of the source is not: Read goes on where it was if the source does. With context takeover the message must be read
// to its end, or the window is not what the peer takes it for.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	p = p[:min(int64(len(p)), r.left)]
	for {
		in := r.in.buf[:r.carried]
		n, used, st := r.in.inflater.inflate(p, 0, 0, r.window, in)
		r.carried = copy(r.in.buf[:], in[used:])
		if n > 0 {
			r.left -= int64(n)
			r.window.Write(p[:n])
			if st == corrupt {
				r.err = ErrCorrupt
			}
			return n, nil
		}
		switch {
		case st == corrupt:
			r.err = ErrCorrupt
		case st == needOutput:
			r.err = ErrTooLarge
		case r.srcErr == nil:
			r.fill()
			continue
		case r.srcErr != io.EOF:
			err := r.srcErr
			r.srcErr = nil
			return 0, err
		case r.in.inflater.complete(r.in.buf[:r.carried]):
			r.err = io.EOF
		default:
			r.err = ErrCorrupt
		}
		return 0, r.err
	}
}

// fill reads from the source, behind what is carried: part of a header or symbol, which is less than 600 bytes.
func (r *Reader) fill() {
	for range maxEmptyReads {
		n, err := r.src.Read(r.in.buf[r.carried:])
		r.carried += n
		r.srcErr = err
		if n > 0 || err != nil {
			return
		}
	}
	r.srcErr = io.ErrNoProgress
}

// Close gives back what the Reader has borrowed. It may be called again; Read after it fails.
func (r *Reader) Close() error {
	if r.in != nil {
		if r.err == nil || r.err == io.EOF {
			r.err = io.ErrClosedPipe
		}
		incomings.Put(r.in)
		r.in, r.src, r.window = nil, nil, nil
	}
	return nil
}
