package ws

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/ws/internal/handshake"
)

// Conn is a WebSocket connection that is read by calls: Read, Reader or Messages. Accept and Dial make it.
//
// All methods may be called concurrently; reads wait for each other. Somebody should be reading most of the time, for
// messages that nobody reads make the peer wait. Pings are answered, pongs and the peer's close noticed even if
// nobody reads: pings and pongs as long as no more than one message waits to be read, the close if none does.
type Conn struct {
	core
	role     chan struct{} // holds a value while somebody is reading
	lastLoan uint64
	wanted   atomic.Int32 // those who wait for another reader to leave
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
	c.init(tr, s, client, subprotocol, d, early)
	c.startInput()
	x := c.rare()
	x.done = make(chan struct{})
	x.onEnd = c.forgetContext
	c.setStream(a)
	c.startTicker()
	c.watchSet.Store(true)
	c.watcher = time.AfterFunc(watchDelay, c.watch)
	return c
}

// acquire takes the right to read, from a background reader if need be.
func (c *Conn) acquire(ctx context.Context) error {
	if c.flags.has(closing) {
		return c.unreadable() // without waiting for Close, which reads
	}
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
		c.watchSoon() // the background reader may have left for us
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

// readerKind says on whose behalf somebody reads.
type readerKind byte

const (
	forMessages readerKind = iota // of a caller of Read, Reader or Messages, until Close is called
	background                    // for control frames, until somebody else wants to read
	forClose                      // for the peer's close frame
)

// await waits for input. It returns early when ctx is done, or, for a background reader, when it is to leave.
func (c *Conn) await(ctx context.Context, as readerKind) error {
	for {
		c.gate.Lock()
		if err := c.enter(ctx, as); err != nil {
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
func (c *Conn) enter(ctx context.Context, as readerKind) error {
	switch {
	case as == background && c.wanted.Load() > 0:
		return errInterrupted
	case as == forMessages && c.flags.has(closing):
		return c.unreadable()
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

// forgetContext lets go of the context of the last read: it may outlive the connection for long.
func (c *Conn) forgetContext() {
	c.gate.Lock()
	defer c.gate.Unlock()
	if c.leaveCtx != nil {
		c.leaveCtx()
	}
	c.leaveCtx, c.readDone = nil, nil
}

// begin starts a call that reads. It takes back the buffers that were lent on the given loan, and leaves those of
// another one to whoever has them.
func (c *Conn) begin(ctx context.Context, loan uint64) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	c.readMu.Lock()
	if err := c.unreadable(); err != nil {
		c.finish(err)
		return err
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

// unreadable returns why no message can be read any more.
func (c *Conn) unreadable() error {
	select {
	case <-c.done:
	default:
		if !c.flags.has(closing) {
			return nil
		}
	}
	if err := c.Err(); err != nil {
		return err
	}
	return ErrClosed // no close frame could be sent
}

// finish ends what begin began, and sees to it that somebody looks after the connection if nobody reads it.
func (c *Conn) finish(err error) {
	c.finishReading(err)
	<-c.role
	c.watchSoon()
}

// watchSoon has watch called after a while, if it is not going to be anyway.
func (c *Conn) watchSoon() {
	if !c.watchSet.Swap(true) {
		c.watcher.Reset(watchDelay)
	}
}

// finishReading lets go of the input.
func (c *Conn) finishReading(err error) {
	if err != nil && c.flags.has(inputOver) {
		c.dropInput()
	}
	c.flags.put(moreInput, len(c.rest) > 0)
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
