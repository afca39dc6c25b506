package ws

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/ws/internal/frame"
	"baro.dev/ws/internal/handshake"
)

// Conn is a WebSocket connection that is read by calls: Read, Reader or Messages. Accept and Dial make it.
//
// All methods may be called concurrently; reads wait for each other. Somebody should be reading most of the time, for
// messages that nobody reads make the peer wait. Pings are answered, pongs and the peer's close noticed even if
// nobody reads: pings and pongs as long as no more than one message waits to be read, the close if none does.
type Conn struct {
	core
	role     chan struct{}  // holds a value while somebody is reading
	reader   *messageReader // of the message in progress, if Reader gave it out; of who holds role
	lastLoan uint64
	wanted   atomic.Int32 // those who wait for a background reader to leave
	watcher  *time.Timer  // starts watch
	watchSet atomic.Bool

	gate     sync.Mutex      // guards what makes a waiting read return
	pastSet  bool            // a read has been told to return
	readDone <-chan struct{} // of the context that leaveCtx is for; contexts themselves may not be comparable
	leaveCtx func() bool
}

// watchDelay is how long nobody may read until a goroutine looks after pings and the end of the stream.
const watchDelay = 500 * time.Millisecond

// readAhead is how many bytes of a message may be read ahead of anyone asking, to see the control frames behind it.
const readAhead = 64 << 10

func newConn(tr transport, s *settings, a *addrs, client bool, subprotocol string, d *handshake.Deflate, early []byte) *Conn {
	c := &Conn{role: make(chan struct{}, 1)}
	c.addrs = a
	c.init(tr, s, client, subprotocol, d, early)
	c.startTicker()
	c.watchSet.Store(true)
	c.watcher = time.AfterFunc(watchDelay, c.watch)
	return c
}

// acquire takes the right to read, from a background reader if need be.
func (c *Conn) acquire(ctx context.Context) error {
	select {
	case c.role <- struct{}{}:
		return nil
	default:
	}
	c.wanted.Add(1)
	defer c.wanted.Add(-1)
	c.stopWaiting()
	select {
	case c.role <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopWaiting makes the read that waits return, whoever's it is.
func (c *Conn) stopWaiting() {
	c.gate.Lock()
	defer c.gate.Unlock()
	c.pastSet = true
	c.tr.interrupt()
}

// await waits for input. It returns early when ctx is done, or, for a background reader, when it is to leave.
func (c *Conn) await(ctx context.Context, background bool) error {
	for {
		c.gate.Lock()
		if err := c.enter(ctx, background); err != nil {
			c.gate.Unlock()
			return err
		}
		if c.pastSet {
			c.pastSet = false
			c.tr.resume()
		}
		c.gate.Unlock()
		if err := c.fill(); err != errInterrupted {
			return err
		}
	}
}

// enter makes the end of ctx stop the read that is about to wait. gate is held.
func (c *Conn) enter(ctx context.Context, background bool) error {
	if background && c.wanted.Load() > 0 {
		return errInterrupted
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done := ctx.Done()
	if done == c.readDone {
		return nil // the usual case: one context for all messages of a connection
	}
	if c.leaveCtx != nil {
		c.leaveCtx()
		c.leaveCtx = nil
	}
	c.readDone = done
	if done == nil {
		return nil
	}
	c.leaveCtx = context.AfterFunc(ctx, func() {
		c.gate.Lock()
		defer c.gate.Unlock()
		if c.readDone == done {
			c.pastSet = true
			c.tr.interrupt()
		}
	})
	return nil
}

// begin starts a call that reads. It takes back the buffers that were lent on the given loan, and leaves those of
// another one to whoever has them.
func (c *Conn) begin(ctx context.Context, loan uint64) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	c.readMu.Lock()
	select {
	case <-c.done:
		err := c.Err()
		c.finish(err)
		return err
	default:
	}
	switch c.lent {
	case 0:
	case loan:
		c.release()
	default:
		c.detach()
	}
	c.lent = 0
	return nil
}

// finish ends what begin began, and sees to it that somebody looks after the connection if nobody reads it.
func (c *Conn) finish(err error) {
	c.finishReading(err)
	<-c.role
	if !c.watchSet.Swap(true) {
		c.watcher.Reset(watchDelay)
	}
}

// finishReading lets go of the input.
func (c *Conn) finishReading(err error) {
	if err != nil && c.Err() != nil {
		c.dropInput()
	}
	if more := len(c.rest) > 0; more != c.more.Load() {
		c.more.Store(more)
	}
	c.readMu.Unlock()
}

// detach leaves the buffers of the input to whoever they are lent to and goes on with others.
func (c *Conn) detach() {
	if !c.ready {
		c.msg = nil
	}
	if len(c.rest) == 0 {
		c.buf, c.rest = nil, nil
		return
	}
	buf := readBuffers.Get().(*[readSize]byte)
	c.rest = append(buf[:0], c.rest...)
	c.buf = buf
}

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
		ev, err := c.next()
		if err != nil {
			return ev, err
		}
		if !ev.None {
			if ev.End {
				c.messaged.Store(true)
			}
			return ev, nil
		}
		if err := c.await(ctx, false); err != nil {
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
