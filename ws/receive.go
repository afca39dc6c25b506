package ws

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"baro.dev/ws/internal/deflate"
	"baro.dev/ws/internal/frame"
)

// errInterrupted is what fill returns after transport.interrupt.
var errInterrupted = errors.New("ws: read interrupted")

// errUnread is what fill returns at the end of the stream if there is a message to be read before.
var errUnread = errors.New("ws: a message is waiting")

// fill waits for input and reads it. readMu is held, and all input so far has been parsed.
func (c *core) fill() error {
	if c.buf != nil {
		readBuffers.Put(c.buf)
		c.buf = nil
	}
	c.rest = nil
	if err := c.flushBeforeWait(); err != nil {
		return err
	}
	p, buf, err := c.tr.read(c.fillDirect(), !c.parser.Within())
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errInterrupted
		}
		if c.ready {
			return errUnread
		}
		return c.streamEnded(err)
	}
	c.rest, c.buf = p, buf
	c.flags.set(heard)
	return nil
}

// streamEnded ends the connection whose stream has ended, or failed, and returns why it ended.
func (c *core) streamEnded(err error) error {
	c.endOfInput(err)
	return c.Err()
}

// flushBeforeWait writes what was held back to leave with later messages: there will be none now. It returns the
// reason if the connection is ending.
func (c *core) flushBeforeWait() error {
	c.flags.clear(moreInput)
	c.mu.Lock()
	if c.flags.has(inputOver) {
		err := c.err
		c.mu.Unlock()
		return err
	}
	c.flushLocked()
	return nil
}

// fillDirect returns the room behind an unfinished message if the rest of its frame can be read right into it, nil
// otherwise. The room grows with what has come, never with what was announced.
func (c *core) fillDirect() []byte {
	remaining := c.parser.Remaining()
	if c.msg == nil || c.ready || len(c.msg.b) < copySize || remaining < copySize {
		return nil
	}
	want := min(remaining, int64(max(readSize, 2*len(c.msg.b))))
	c.msg.grow(int(want))
	return c.msg.b[len(c.msg.b) : len(c.msg.b)+int(want)]
}

// next parses input until there is a piece of a message. It handles control frames itself. Without any input left
// the event is None. readMu is held.
func (c *core) next() (frame.Event, error) {
	for len(c.rest) > 0 {
		ev, n, err := c.parser.Next(c.rest)
		c.rest = c.rest[n:]
		switch {
		case err != nil:
			return ev, c.refuse(violation(err))
		case ev.None:
		case ev.Opcode.IsControl():
			if err := c.control(ev); err != nil {
				return ev, err
			}
		default:
			if ev.Start {
				c.typ = MessageType(ev.Opcode)
				c.packed = ev.Compressed
				c.text.Reset()
			}
			if c.typ == Text && !c.packed {
				if err := c.checkText(ev.Payload, ev.End); err != nil {
					return ev, err
				}
			}
			return ev, nil
		}
	}
	return frame.Event{None: true}, nil
}

// pingsAndPongs handles the pings and pongs that come next, and reports whether nothing else has come.
func (c *core) pingsAndPongs() (bool, error) {
	for len(c.rest) > 0 {
		if op := c.parser.Opcode(c.rest[0]); op != frame.Ping && op != frame.Pong {
			return false, nil
		}
		ev, n, err := c.parser.Next(c.rest)
		c.rest = c.rest[n:]
		if err != nil {
			return false, c.fail(violation(err))
		}
		if !ev.None {
			if err := c.control(ev); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// checkText fails the connection at the first byte of a text message that cannot belong to valid UTF-8 (RFC 6455 8.1).
func (c *core) checkText(p []byte, end bool) error {
	if c.text.Valid(p) && (!end || c.text.Complete()) {
		return nil
	}
	return c.refuse(invalidText())
}

func invalidText() *CloseError {
	return &CloseError{Code: StatusInvalidPayload, Reason: "text message is not valid UTF-8"}
}

// collect adds a piece to the message in progress. When the message is whole, it returns true and the message, whose
// data is lent until release.
func (c *core) collect(ev frame.Event) (Message, bool, error) {
	if ev.End && ev.Start && !c.packed {
		return Message{c.typ, ev.Payload}, true, nil // all of it is in the input
	}
	if c.msg == nil {
		c.msg = newBuffer(len(ev.Payload))
	}
	if n := len(c.msg.b); n > 0 && cap(c.msg.b) > n && len(ev.Payload) > 0 && &c.msg.b[:n+1][n] == &ev.Payload[0] {
		c.msg.b = c.msg.b[:n+len(ev.Payload)] // it was read right where it belongs
	} else {
		c.msg.append(ev.Payload)
	}
	if !ev.End {
		return Message{}, false, nil
	}
	if !c.packed {
		return Message{c.typ, c.msg.b}, true, nil
	}
	return c.inflate()
}

// inflate inflates the message in msg.
func (c *core) inflate() (Message, bool, error) {
	out := newBuffer(readSize) // enough for most, however well they were compressed
	var err error
	out.b, err = deflate.Decompress(out.b, c.msg.b, c.maxMessage(), c.deflate.readBits, c.deflate.read)
	c.msg.free()
	c.msg = out
	if err != nil {
		return Message{}, false, c.refuse(inflateError(err, c.set.MaxMessage))
	}
	if c.typ == Text {
		if err := c.checkText(out.b, true); err != nil {
			return Message{}, false, err
		}
	}
	return Message{c.typ, out.b}, true, nil
}

// maxMessage is the largest message accepted, in bytes after inflation.
func (c *core) maxMessage() int64 {
	if c.set.MaxMessage == 0 {
		return math.MaxInt64
	}
	return c.set.MaxMessage
}

func inflateError(err error, limit int64) *CloseError {
	if errors.Is(err, deflate.ErrTooLarge) {
		return &CloseError{
			Code:   StatusMessageTooBig,
			Reason: fmt.Sprintf("message of more than %d bytes after inflation", limit),
			Err:    ErrMessageTooBig,
		}
	}
	// RFC 7692 does not say; the data is not consistent with what RSV1 announced.
	return &CloseError{Code: StatusInvalidPayload, Reason: "compressed message cannot be inflated", Err: err}
}

// release takes back a message that was lent.
func (c *core) release() {
	if c.msg != nil {
		c.msg.free()
		c.msg = nil
	}
	c.ready = false
}

// keep makes the message that was just completed wait until somebody reads it.
func (c *core) keep(m Message) {
	if c.msg == nil {
		c.msg = newBuffer(len(m.Data))
		c.msg.append(m.Data)
	}
	c.ready = true
}

// dropInput lets go of everything read. readMu is held.
func (c *core) dropInput() {
	if c.reader != nil {
		c.reader.end(c.Err()) // what it has not read is in the buffers
	}
	if c.lent != 0 {
		c.buf, c.msg, c.lent = nil, nil, 0 // left to whoever they are lent to
	}
	if c.buf != nil {
		readBuffers.Put(c.buf)
		c.buf = nil
	}
	c.rest = nil
	if c.ctl != nil {
		c.ctl.free()
		c.ctl = nil
	}
	c.release()
}

// control handles a control frame, or a piece of one (RFC 6455 5.5).
func (c *core) control(ev frame.Event) error {
	p := ev.Payload
	if !ev.Start || !ev.End {
		if c.ctl == nil {
			c.ctl = newBuffer(frame.MaxControlPayload)
		}
		c.ctl.append(p)
		if !ev.End {
			return nil
		}
		p = c.ctl.b
		defer func() {
			c.ctl.free()
			c.ctl = nil
		}()
	}
	switch ev.Opcode {
	case frame.Ping:
		if err := c.countControl(); err != nil {
			return err
		}
		if c.postpone {
			c.tr.pongLater(p)
		} else {
			c.pong(p)
		}
	case frame.Pong:
		if !c.ponged(p) {
			return c.countControl() // nobody had asked for it
		}
	case frame.Close:
		if c.postpone {
			c.goodbye = append([]byte(nil), p...)
			return errPostponed
		}
		return c.received(p)
	}
	return nil
}

// countControl refuses floods of control frames.
func (c *core) countControl() error {
	if now := uint32(time.Since(started).Milliseconds()); c.flood.count == 0 || now-c.flood.since >= 1000 {
		c.flood = flood{since: now}
	}
	c.flood.count++
	if int64(c.flood.count) > c.set.maxControl {
		return c.refuse(&CloseError{
			Code:   StatusPolicyViolation,
			Reason: fmt.Sprintf("more than %d control frames in a second", c.set.maxControl),
		})
	}
	return nil
}
