package ws

import (
	"context"
	"errors"
	"io"

	"baro.dev/ws/internal/deflate"
	"baro.dev/ws/internal/frame"
)

// errReaderDone is what a reader of a message returns that is not the connection's current one any more.
var errReaderDone = errors.New("ws: reader used after the next message was asked for")

// messageReader reads one message as it comes. It is used by whoever holds the connection's role.
type messageReader struct {
	c       *Conn
	ctx     context.Context
	piece   []byte          // come and not yet read, in the connection's buffers
	last    bool            // piece is the end of the message
	inflate *deflate.Reader // of a compressed message; its source is pieces
	err     error
}

// Reader waits for the next message to begin and returns its type and a reader of its data, which ends with io.EOF.
// It is for messages that are better not held in memory.
//
// ctx is for all reads of the message: when it is done they return context.Cause(ctx). The connection goes on: the
// next call of Read, Reader or Messages discards what is left of this message and returns the one after. Read may be
// called concurrently with other methods of the connection, but by one goroutine at a time.
func (c *Conn) Reader(ctx context.Context) (MessageType, io.Reader, error) {
	if err := c.begin(ctx, 0); err != nil {
		return 0, nil, err
	}
	r, err := c.newReader(ctx)
	typ := c.typ
	c.finish(err)
	if err != nil {
		return 0, nil, err
	}
	return typ, r, nil
}

func (c *Conn) newReader(ctx context.Context) (*messageReader, error) {
	if err := c.discard(ctx); err != nil {
		return nil, err
	}
	r := &messageReader{c: c, ctx: ctx}
	whole := c.ready
	if c.msg != nil { // the message, or the first part of it, has been read ahead
		r.piece, r.last = c.msg.b, c.ready
		c.ready = false
	} else {
		ev, err := c.piece(ctx)
		if err != nil {
			return nil, err
		}
		r.give(ev)
	}
	if c.packed && !whole {
		r.inflate = deflate.NewReader(pieces{r}, c.maxMessage(), c.deflate.readBits, c.deflate.read)
	}
	c.reader = r
	return r, nil
}

// give hands the reader the next piece.
func (r *messageReader) give(ev frame.Event) { r.piece, r.last = ev.Payload, ev.End }

// Read implements io.Reader.
func (r *messageReader) Read(p []byte) (int, error) {
	c := r.c
	if err := c.begin(r.ctx, 0); err != nil {
		return 0, err
	}
	n, err := r.read(p)
	if err == io.EOF {
		c.finish(nil)
	} else {
		c.finish(err)
	}
	return n, err
}

func (r *messageReader) read(p []byte) (n int, err error) {
	switch {
	case r.err != nil:
		return 0, r.err
	case r.c.reader != r:
		return 0, errReaderDone
	case len(p) == 0:
		return 0, nil
	}
	if r.inflate == nil {
		n, err = pieces{r}.Read(p)
	} else {
		n, err = r.readInflated(p)
	}
	if err == io.EOF || err != nil && r.c.Err() != nil {
		r.end(err)
	}
	return n, err
}

// readInflated reads through the inflater, which may go on after an error of ctx.
func (r *messageReader) readInflated(p []byte) (int, error) {
	c := r.c
	n, err := r.inflate.Read(p)
	if errors.Is(err, deflate.ErrCorrupt) || errors.Is(err, deflate.ErrTooLarge) {
		return n, c.fail(inflateError(err, c.set.MaxMessage))
	}
	if c.typ == Text && (err == nil || err == io.EOF) {
		if err := c.checkText(p[:n], err == io.EOF); err != nil {
			return 0, err
		}
	}
	return n, err
}

// pieces reads the message as it is on the wire.
type pieces struct{ *messageReader }

func (r pieces) Read(p []byte) (int, error) {
	c := r.c
	for len(r.piece) == 0 {
		if r.last {
			return 0, io.EOF
		}
		c.release() // a part that had been read ahead
		ev, err := c.piece(r.ctx)
		if err != nil {
			return 0, err
		}
		r.give(ev)
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// end ends the reader: the connection is between messages again, or has ended.
func (r *messageReader) end(err error) {
	r.err = err
	r.piece = nil
	if r.inflate != nil {
		_ = r.inflate.Close()
	}
	r.c.reader = nil
	r.c.release()
}

// discard reads the rest of a message that a reader was given out for. What is compressed is inflated nevertheless,
// as later messages may refer back to it.
func (c *Conn) discard(ctx context.Context) error {
	r := c.reader
	if r == nil {
		return nil
	}
	r.ctx = ctx
	var trash [1 << 10]byte
	for {
		_, err := r.read(trash[:])
		switch {
		case err == io.EOF:
			r.err = errReaderDone
			return nil
		case err != nil:
			return err
		}
	}
}
