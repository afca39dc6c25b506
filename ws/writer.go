package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"baro.dev/internal/utf8stream"
	"baro.dev/ws/internal/deflate"
	"baro.dev/ws/internal/frame"
)

// fragmentSize is how much of a message a Writer gathers before it sends a fragment, in bytes before compression.
const fragmentSize = readSize

var errWriterClosed = errors.New("ws: write to a Writer that was closed")

// messageWriter writes one message in fragments.
type messageWriter struct {
	c        *core
	ctx      context.Context
	opcode   frame.Opcode // of the next fragment
	typ      MessageType
	text     utf8stream.Validator
	gathered *buffer
	packer   *deflate.Writer // nil: not compressed
	begun    bool            // a fragment has been sent
	err      error
}

// Writer starts a message that is written piece by piece and returns a writer for its data; Close ends the message
// and must be called. The message leaves in fragments of 16 KiB or so, as it is written; other messages of this
// connection wait until it has ended, and their bytes count in the queue. Writer itself waits until another one has
// been closed.
//
// ctx is for all writes: when it is done, those that wait for room in the queue return context.Cause(ctx). Close then
// still ends the message, with what was accepted, so that the connection goes on. The writer is not for concurrent
// use. Text must be valid UTF-8; if it is not, Write or Close says so, and since a message that has begun cannot be
// taken back, the connection is failed with StatusInternalError if a part of it has been sent.
func (c *core) Writer(ctx context.Context, t MessageType) (io.WriteCloser, error) {
	if t != Text && t != Binary {
		return nil, fmt.Errorf("ws: message type %d is neither Text nor Binary", t)
	}
	if err := c.hold(ctx); err != nil {
		return nil, err
	}
	w := &messageWriter{c: c, ctx: ctx, typ: t, opcode: frame.Opcode(t)}
	if d := c.deflate; d != nil {
		w.packer = deflate.NewWriter(d.level, d.sendBits, d.sent)
	}
	return w, nil
}

// hold makes messages wait in held from now on. It waits until they do not.
func (c *core) hold(ctx context.Context) error {
	for {
		held, err := c.tryHold(ctx)
		if held || err != nil {
			return err
		}
	}
}

// tryHold reports whether messages wait from now on. If they did before, it waits until that may have changed.
func (c *core) tryHold(ctx context.Context) (bool, error) {
	// With the messages the window must pass to the Writer, or one that has entered it could leave after the Writer's.
	if d := c.deflate; d != nil {
		d.mu.Lock()
		c.mu.Lock()
		d.streaming = d.streaming || c.held == nil && c.writable() == nil
		d.mu.Unlock()
	} else {
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	if err := c.writable(); err != nil {
		return false, err
	}
	if c.held != nil {
		return false, c.waitRoom(ctx)
	}
	c.rare().held = new(outQueue)
	return true, nil
}

// unhold lets the messages that waited follow.
func (c *core) unhold() {
	c.mu.Lock()
	c.held.moveTo(&c.out)
	c.rare().held = nil
	c.signalRoom()
	c.flushLocked()
}

// Write implements io.Writer.
func (w *messageWriter) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.typ == Text && !w.text.Valid(p) {
		return 0, w.abort(fmt.Errorf("ws: text message is not valid UTF-8"))
	}
	for len(p) > 0 {
		if w.gathered == nil {
			w.gathered = newBuffer(min(len(p), fragmentSize))
		}
		part := p[:min(len(p), fragmentSize-len(w.gathered.b))]
		w.gathered.append(part)
		p = p[len(part):]
		n += len(part)
		if len(w.gathered.b) < fragmentSize {
			break
		}
		if err := w.send(waiting{ctx: w.ctx, fragment: true}, false); err != nil {
			w.err = err
			return max(0, n-w.cut()), err
		}
	}
	return n, nil
}

// cut takes back a character that has not come whole, so that Close ends the message behind one that has. It returns
// its length in bytes.
func (w *messageWriter) cut() int {
	if w.typ != Text {
		return 0
	}
	b := w.gathered.b
	start := len(b) - 1
	for start > 0 && !utf8.RuneStart(b[start]) {
		start--
	}
	if utf8.FullRune(b[start:]) {
		return 0
	}
	w.gathered.b = b[:start]
	return len(b) - start
}

// Close implements io.Closer: it ends the message.
func (w *messageWriter) Close() error {
	if errors.Is(w.err, errWriterClosed) {
		return w.err
	}
	if w.typ == Text && w.err == nil && !w.text.Complete() {
		return w.abort(fmt.Errorf("ws: text message ends within a character"))
	}
	// Whatever the queue holds: others wait for this message to end.
	err := w.send(waiting{}, true)
	w.end()
	return err
}

// abort gives the message up, and with it the connection, if the peer has seen a part of it.
func (w *messageWriter) abort(err error) error {
	switch d := w.c.deflate; {
	case w.begun:
		w.c.fail(&CloseError{Code: StatusInternalError, Reason: "message given up", Err: err})
	case d != nil && d.sent != nil:
		// The compressor may have taken what the peer will not get. Referring back to nothing is always right.
		d.mu.Lock()
		*d.sent = *deflate.NewWindow(d.sendBits)
		d.mu.Unlock()
	}
	w.end()
	return err
}

// end lets go of everything.
func (w *messageWriter) end() {
	w.err = errWriterClosed
	if w.gathered != nil {
		w.gathered.free()
		w.gathered = nil
	}
	if w.packer != nil {
		w.packer.Discard()
		d := w.c.deflate
		d.mu.Lock()
		d.streaming = false
		d.mu.Unlock()
	}
	w.c.unhold()
}

// send sends what has been gathered as a fragment. A last one does not wait for room.
func (w *messageWriter) send(wait waiting, last bool) error {
	var payload []byte
	if w.gathered != nil {
		payload = w.gathered.b
	}
	size := len(payload) + frame.MaxHeaderSize
	if !last {
		if err := w.c.reserve(wait, size); err != nil {
			return err
		}
	}
	h := frame.Header{Opcode: w.opcode, Fin: last}
	if w.packer != nil {
		h.Compressed = !w.begun
		packed := newBuffer(len(payload)/2 + 64)
		defer packed.free()
		packed.b = w.packer.Append(packed.b, payload)
		if last {
			packed.b = w.packer.Finish(packed.b)
		}
		payload = packed.b
	}
	if last {
		size = 0
	}
	if w.gathered != nil {
		w.gathered.b = w.gathered.b[:0] // payload stays until the next Write
	}
	if len(payload) == 0 && !last { // the compressor wants more before it says anything
		w.c.unreserve(size)
		return nil
	}
	if err := w.c.sendFragment(size, h, payload); err != nil {
		return err
	}
	w.opcode = frame.Continuation
	w.begun = true
	return nil
}

// sendFragment queues a fragment in front of the messages that wait for it.
func (c *core) sendFragment(reserved int, h frame.Header, payload []byte) error {
	c.mu.Lock()
	c.giveBack(reserved)
	if err := c.writable(); err != nil {
		c.mu.Unlock()
		return err
	}
	h.Length = len(payload)
	c.encode(&c.out, h, payload)
	c.kick() // unlocks
	return nil
}
