package ws

import (
	"context"
	"errors"
	"iter"

	"baro.dev/ws/internal/frame"
)

// whole returns the next message, in the buffers of the input. What is left of a message that was read in part is
// discarded.
func (c *Conn) whole(ctx context.Context) (Message, error) {
	if err := c.discard(ctx); err != nil {
		return Message{}, err
	}
	if c.ready {
		c.ready = false
		return Message{c.typ, c.msg.b}, nil
	}
	for {
		ev, err := c.piece(ctx)
		if err != nil {
			return Message{}, err
		}
		m, complete, err := c.collect(ev)
		if err != nil {
			return Message{}, err
		}
		if complete {
			return m, nil
		}
	}
}

// piece waits for the next piece of a message.
func (c *Conn) piece(ctx context.Context) (frame.Event, error) {
	for {
		if c.flags.has(closing) {
			return frame.Event{}, c.unreadable()
		}
		ev, err := c.next()
		if err != nil {
			return ev, err
		}
		if !ev.None {
			if ev.End {
				c.flags.set(messaged)
			}
			return ev, nil
		}
		if err := c.await(ctx, forMessages); err != nil {
			return ev, err
		}
	}
}

// Read returns the next message. Its data is the caller's.
//
// When ctx is done before a message has come whole, Read returns context.Cause(ctx) and nothing is lost: the next
// call goes on where this one stopped. A ctx that is done does not keep Read from returning a message that has come
// already. When the connection has ended, Read returns why: a *CloseError, mostly.
func (c *Conn) Read(ctx context.Context) (Message, error) {
	if err := c.begin(ctx, 0); err != nil {
		return Message{}, err
	}
	m, err := c.whole(ctx)
	if err == nil {
		m.Data = c.own(m.Data)
		c.release()
	}
	c.finish(err)
	return m, err
}

// own makes a message's data the caller's: the buffer itself if the message fills most of it, a copy otherwise.
func (c *Conn) own(p []byte) []byte {
	if c.msg != nil && len(p) >= readAhead && len(p) >= cap(p)/4*3 {
		c.msg = nil
		return p
	}
	return append(make([]byte, 0, len(p)), p...)
}

// Messages returns the messages as they come. Their data is lent until the next step of the loop: whoever keeps it
// copies it.
//
// The sequence ends without an error when the peer closes the connection with StatusNormalClosure or
// StatusGoingAway, or when this side closed it; otherwise the last step has the error, as of Read. When ctx is done,
// the last step has context.Cause(ctx) and the connection is as it was.
//
// The body of the loop may call everything, Read, Ping and Close too; the data lent stays as it is. Ping then waits for
// nobody but itself: see there what keeps a pong from being seen.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var loan uint64
		for {
			m, err := c.lend(ctx, &loan)
			if err != nil {
				if !quietEnd(err) {
					yield(Message{}, err)
				}
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// lend returns the next message and lends its data on a new loan, which ends the one before.
func (c *Conn) lend(ctx context.Context, loan *uint64) (Message, error) {
	if err := c.begin(ctx, *loan); err != nil {
		return Message{}, err
	}
	m, err := c.whole(ctx)
	if err == nil {
		c.lastLoan++
		*loan = c.lastLoan
		c.lent = *loan
	}
	c.finish(err)
	return m, err
}

// quietEnd reports whether err is an end that a loop over messages need not speak of.
func quietEnd(err error) bool {
	if errors.Is(err, ErrClosed) {
		return true
	}
	ce, ok := errors.AsType[*CloseError](err)
	return ok && ce.Remote && (ce.Code == StatusNormalClosure || ce.Code == StatusGoingAway)
}
