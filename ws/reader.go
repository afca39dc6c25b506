package ws

import (
	"context"
	"errors"
	"io"

	"baro.dev/ws/internal/frame"
)

// errReaderDone is what a reader of a message returns that is not the connection's current one any more.
var errReaderDone = errors.New("ws: reader used after the next message was asked for")

// messageReader reads one message as it comes. It is used by whoever holds the connection's role.
type messageReader struct {
	c     *Conn
	ctx   context.Context
	piece []byte // come and not yet read, in the connection's buffers
	last  bool   // piece is the end of the message
	err   error
}

// Reader waits for the next message to begin and returns its type and a reader of its data, which ends with io.EOF.
// It is for messages that are better not held in memory; a compressed message is nevertheless, since it cannot be
// inflated before it has come whole.
//
// ctx is for all reads of the message: when it is done they return context.Cause(ctx), and another Read of the same
// reader after that does too. The connection goes on: the next call of Read, Reader or Messages discards what is left
// of this message and returns the one after.
func (c *Conn) Reader(ctx context.Context) (MessageType, io.Reader, error) {
	if err := c.begin(ctx, 0); err != nil {
		return 0, nil, err
	}
	r, err := c.newReader(ctx)
	c.finish(err)
	if err != nil {
		return 0, nil, err
	}
	return c.typ, r, nil
}

func (c *Conn) newReader(ctx context.Context) (*messageReader, error) {
	if err := c.discard(ctx); err != nil {
		return nil, err
	}
	r := &messageReader{c: c, ctx: ctx}
	if c.msg == nil {
		ev, err := c.piece(ctx)
		if err != nil {
			return nil, err
		}
		if !c.packed {
			r.give(ev)
			c.reader = r
			return r, nil
		}
		if _, complete, err := c.collect(ev); err != nil {
			return nil, err
		} else if complete {
			c.ready = true
		}
	}
	for c.packed && !c.ready {
		ev, err := c.piece(ctx)
		if err != nil {
			return nil, err
		}
		_, complete, err := c.collect(ev)
		if err != nil {
			return nil, err
		}
		c.ready = complete
	}
	// A message, or the first part of one, that had been read ahead.
	r.piece, r.last = c.msg.b, c.ready
	c.ready = false
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

func (r *messageReader) read(p []byte) (int, error) {
	c := r.c
	if r.err != nil {
		return 0, r.err
	}
	if c.reader != r {
		return 0, errReaderDone
	}
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.piece) == 0 {
		if r.last {
			r.end(io.EOF)
			return 0, io.EOF
		}
		c.release() // a part that had been read ahead
		ev, err := c.piece(r.ctx)
		if err != nil {
			if c.Err() != nil {
				r.end(err)
			}
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
	r.c.reader = nil
	r.c.release()
}

// discard reads the rest of a message that a reader was given out for.
func (c *Conn) discard(ctx context.Context) error {
	r := c.reader
	if r == nil {
		return nil
	}
	for !r.last {
		r.piece = nil
		c.release()
		ev, err := c.piece(ctx)
		if err != nil {
			return err
		}
		r.give(ev)
	}
	r.end(errReaderDone)
	return nil
}
