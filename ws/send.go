package ws

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"baro.dev/internal/mask"
	"baro.dev/ws/internal/deflate"
	"baro.dev/ws/internal/frame"
)

// waiting says what a sender does when the queue is full.
type waiting struct {
	ctx      context.Context // nil: does not wait
	policy   Policy
	fragment bool // a Writer's, which the messages that wait for the Writer must not keep from ending
}

// copySize is the size up to which a payload is copied behind its header to be written with it. A larger one is
// written from where it is.
const copySize = 4 << 10

// checkMessage refuses what must not be sent.
func checkMessage(t MessageType, data []byte) error {
	switch t {
	case Binary:
	case Text:
		if !utf8.Valid(data) {
			return fmt.Errorf("ws: text message of %d bytes is not valid UTF-8", len(data))
		}
	default:
		return fmt.Errorf("ws: message type %d is neither Text nor Binary", t)
	}
	return nil
}

// sendMessage sends data as a message of one frame, plain without compression. It does not keep data.
func (c *core) sendMessage(w waiting, t MessageType, data []byte, plain bool) error {
	if err := checkMessage(t, data); err != nil {
		return err
	}
	h := frame.Header{Opcode: frame.Opcode(t), Fin: true}
	d := c.deflate
	if d == nil || plain || len(data) < d.threshold {
		return c.sendFrame(w, 0, h, data)
	}
	// Room is reserved before anything is compressed: what has entered the window must leave.
	size := len(data) + frame.MaxHeaderSize
	if err := c.reserve(w, size); err != nil {
		return err
	}
	packed := newBuffer(max(len(data)/2, min(len(data), readSize)) + 64)
	defer packed.free()
	if d.sent == nil {
		packed.b = deflate.Compress(packed.b, data, d.level, d.sendBits, nil)
		if len(packed.b) < len(data) {
			h.Compressed, data = true, packed.b
		}
		return c.sendFrame(w, size, h, data)
	}
	// The window must see the messages in the order in which they leave.
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.streaming { // otherwise the window belongs to the Writer, and this message goes without
		packed.b = deflate.Compress(packed.b, data, d.level, d.sendBits, d.sent)
		h.Compressed, data = true, packed.b
	}
	return c.sendFrame(w, size, h, data)
}

// writable returns why nothing can be sent any more. mu is held.
func (c *core) writable() error {
	switch {
	case !c.ended && !c.sentClose && !c.gotClose && !c.broken && c.finish == finishNone:
		return nil
	case !c.ended && !c.sentClose && !c.gotClose && c.broken:
		return c.writeErr
	case c.err != nil:
		return c.err
	}
	return ErrClosed
}

// admit waits for room for n bytes, or does what the policy says. mu is held, but not while it waits.
func (c *core) admit(w waiting, n int) error {
	for {
		if err := c.writable(); err != nil {
			return err
		}
		used := c.buffered()
		if w.fragment && c.held != nil {
			used -= c.held.size
		}
		if used == 0 || used+n <= c.set.maxQueue {
			return nil
		}
		ctx := w.ctx
		if ctx == nil {
			switch w.policy {
			case Drop:
				return ErrQueueFull
			case Close:
				c.failLocked(&CloseError{Code: StatusPolicyViolation, Reason: "write queue full", Err: ErrQueueFull})
				return c.err
			}
			ctx = context.Background()
		}
		if err := c.waitRoom(ctx); err != nil {
			return err
		}
	}
}

// waitRoom waits until something has been written or a Writer closed. mu is held, but not while it waits.
func (c *core) waitRoom(ctx context.Context) error {
	x := c.rare()
	if x.room == nil {
		x.room = make(chan struct{})
	}
	if x.done == nil {
		x.done = make(chan struct{})
	}
	room, done := x.room, x.done
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-room:
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// signalRoom wakes those who wait for room. mu is held.
func (c *core) signalRoom() {
	if c.room != nil {
		close(c.room)
		c.rare().room = nil
	}
}

func (c *core) buffered() int {
	n := c.out.size + c.reserved
	if c.held != nil {
		n += c.held.size
	}
	return n
}

// Buffered returns the number of bytes that wait to be written because the peer or the network is slow.
func (c *core) Buffered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buffered()
}

// reserve admits a frame of at most n bytes that is yet to be made. Either unreserve or sendFrame follows.
func (c *core) reserve(w waiting, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.admit(w, n); err != nil {
		return err
	}
	c.reserved += n
	return nil
}

func (c *core) unreserve(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.giveBack(n)
}

// giveBack ends a reservation, and wakes those who wait for its room: it may take less than was reserved. mu is held.
func (c *core) giveBack(n int) {
	if n > 0 {
		c.reserved -= n
		c.signalRoom()
	}
}

// sendFrame sends a data frame, whose room may have been reserved. It does not keep payload.
func (c *core) sendFrame(w waiting, reserved int, h frame.Header, payload []byte) error {
	h.Length = len(payload)
	c.mu.Lock()
	c.giveBack(reserved)
	var err error
	if reserved == 0 {
		err = c.admit(w, len(payload)+frame.MaxHeaderSize)
	} else {
		err = c.writable()
	}
	switch {
	case err != nil:
		c.mu.Unlock()
		return err
	case c.held != nil:
		c.encode(c.held, h, payload)
		c.mu.Unlock()
		return nil
	case c.direct() || len(payload) > copySize && c.flushAhead():
		c.writeDirect(h, payload) // unlocks
		return nil
	}
	c.encode(&c.out, h, payload)
	c.kick() // unlocks
	return nil
}

// encode queues a frame. mu is held.
func (c *core) encode(q *outQueue, h frame.Header, payload []byte) {
	size := frame.MaxHeaderSize + len(payload)
	b := q.room(size)
	before := len(b.b)
	b.b = c.appendFrame(b.b, h, payload)
	q.size += len(b.b) - before
}

// appendFrame appends a whole frame, masked if this side is the client.
func (c *core) appendFrame(dst []byte, h frame.Header, payload []byte) []byte {
	if !c.client {
		return append(h.Append(dst), payload...)
	}
	h.Masked, h.Key = true, mask.Key()
	dst = h.Append(dst)
	n := len(dst)
	dst = slices.Grow(dst, len(payload))[:n+len(payload)]
	mask.Copy(dst[n:], payload, h.Key)
	return dst
}

// sendAlong queues a short message behind others that are held back to leave with it, if it is as simple as that.
func (c *core) sendAlong(t MessageType, data []byte) bool {
	if c.deflate != nil || c.client || len(data) > copySize || t != Binary && (t != Text || !utf8.Valid(data)) {
		return false
	}
	h := frame.Header{Opcode: frame.Opcode(t), Fin: true, Length: len(data)}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out.last()
	size := len(data) + frame.MaxHeaderSize
	if b == nil || cap(b.b)-len(b.b) < size || c.out.size+size > min(readSize, c.set.maxQueue) ||
		c.held != nil || c.reserved > 0 || c.writable() != nil {
		return false
	}
	before := len(b.b)
	b.b = append(h.Append(b.b), data...)
	c.out.size += len(b.b) - before
	return true
}

// Send sends a message without waiting: what the peer does not take at once is queued. When the queue is full, it
// does what Queue.Full says: it ends the connection (Close), drops the message (Drop), or waits after all (Block);
// the error then matches ErrQueueFull. A text message must be valid UTF-8.
//
// Send may be called from any goroutine; messages from one goroutine leave in the order sent. data is the caller's
// again when Send returns.
func (c *core) Send(t MessageType, data []byte) error {
	if c.flags.has(moreInput|corked) && c.sendAlong(t, data) {
		return nil
	}
	return c.sendMessage(waiting{policy: c.set.full}, t, data, false)
}

// SendUncompressed is Send for a message that is not to be compressed, whatever was agreed: it is compressed already, or mixes
// a secret with what others choose.
func (c *core) SendUncompressed(t MessageType, data []byte) error {
	return c.sendMessage(waiting{policy: c.set.full}, t, data, true)
}

// Write sends a message. It waits while the queue is full, but not for the peer to receive anything. If ctx is done
// first, nothing of the message has been sent and nothing will be; the connection is as it was. When Write returns
// nil the message leaves whole, unless the connection ends. A text message must be valid UTF-8.
//
// Write may be called from any goroutine; messages from one goroutine leave in the order written. data is the
// caller's again when Write returns.
func (c *core) Write(ctx context.Context, t MessageType, data []byte) error {
	return c.sendMessage(waiting{ctx: ctx}, t, data, false)
}
