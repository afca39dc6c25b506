package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// pump reads on behalf of somebody who waits for a control frame: until stop is closed, or somebody else wants to
// read, or a message or the end comes while one waits to be read, or more of a message than may be read ahead. It
// returns an error if the connection has ended or ctx is done.
func (c *Conn) pump(ctx context.Context, stop <-chan struct{}) error {
	for {
		if c.reader != nil && len(c.reader.piece) == 0 {
			c.release() // a part that had been read ahead, and has been read
		}
		if r := c.reader; r != nil && r.last && len(r.piece) == 0 && r.inflate == nil {
			r.end(io.EOF) // before it is handed what belongs to the next message
		}
		if c.ready && c.reader == nil {
			if more, err := c.pingsAndPongs(); err != nil || !more {
				return err
			}
		} else if (c.reader != nil && (c.reader.last || len(c.reader.piece) > 0)) || (c.msg != nil && len(c.msg.b) >= readAhead) {
			return nil
		}
		ev, err := c.next()
		if err != nil {
			return err
		}
		if ev.None {
			select {
			case <-stop:
				return nil
			default:
			}
			c.flags.put(unread, c.ready)
			err := c.await(ctx, background)
			c.flags.clear(unread)
			if err == errInterrupted || err == errUnread {
				return nil
			} else if err != nil {
				return err
			}
			continue
		}
		if ev.End {
			c.flags.set(messaged)
		}
		if c.reader != nil {
			c.reader.give(ev)
			continue
		}
		m, complete, err := c.collect(ev)
		if err != nil {
			return err
		}
		if complete {
			c.keep(m)
		}
	}
}

// watch reads in the background if nobody else does, so that pings are answered and the end of the stream is noticed.
func (c *Conn) watch() {
	c.watchSet.Store(false)
	select {
	case c.role <- struct{}{}:
	default:
		return // whoever reads sets the watcher again when it leaves
	}
	c.takeOver()
	c.finishReading(c.pump(context.Background(), c.done))
	// Either the connection has ended, or somebody else reads, or a message waits to be read: the watcher is set
	// again after that.
	<-c.role
}

// takeOver begins reading for somebody who does not want the next message.
func (c *Conn) takeOver() {
	c.readMu.Lock()
	if c.lent != 0 {
		c.detach()
		c.lent = 0
	}
}

// Ping sends a ping and waits for the pong; it returns how long that took. It may be called while others read, and
// while nobody does: then a message that comes before the pong waits to be read, and a second one, or one that is
// longer than 64 KiB, keeps the pong from being seen until it is read.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	w := &pingWaiter{sent: time.Now(), done: make(chan struct{})}
	if err := c.ping(w); err != nil {
		return 0, err
	}
	defer c.forget(w)
	role := c.role
	for {
		select {
		case <-w.done:
			return w.rtt, nil
		case <-c.done:
			return 0, c.Err()
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case role <- struct{}{}:
		}
		c.takeOver()
		err := c.pump(ctx, w.done)
		if err == nil && c.wanted.Load() == 0 {
			role = nil // a message waits to be read: it is for others to go on
		}
		c.finish(err)
		if err != nil {
			return 0, err
		}
	}
}

// Close closes the connection with the closing handshake (RFC 6455 7.1.2): a close frame with code and reason, the
// peer's close frame, the end of the stream. Messages that have not been read are dropped, and reads that wait return; what
// was queued for sending leaves first, except messages that wait for a Writer which has not been closed. It takes as long as the peer does, but no longer than ctx allows or Limits.CloseTimeout; then the
// connection is cut, and Close returns why. A reason of more than 123 bytes is cut. StatusNoStatus sends a close
// frame without a code.
//
// Close returns nil if both close frames were exchanged, even if the peer's came first.
func (c *Conn) Close(ctx context.Context, code StatusCode, reason string) error {
	if code != StatusNoStatus && !code.OnWire() {
		return fmt.Errorf("ws: status code %v must not be sent", code)
	}
	_ = c.startClose(code, reason) // if it has ended before, the end below says so
	c.flags.set(closing)
	c.wanted.Add(1)
	c.stopWaiting()
	select {
	case <-c.done:
	case <-ctx.Done():
	case c.role <- struct{}{}:
		c.takeOver()
		c.finish(c.drain(ctx))
	}
	c.wanted.Add(-1)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.end(nil)
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gotClose && c.sentClose:
		return nil
	case errors.Is(c.err, ErrClosed): // this close; what went wrong with it came after
		return c.cut
	}
	return c.err
}

// drain reads and drops messages until the connection ends or ctx is done.
func (c *Conn) drain(ctx context.Context) error {
	if c.reader != nil {
		c.reader.end(c.unreadable())
	}
	if len(c.rest) > 0 {
		c.msg = nil // which may have been read into, and not looked at yet: the buffer is nobody else's
	}
	c.release()
	for {
		ev, err := c.next()
		if err != nil {
			return err
		}
		if !ev.None {
			continue
		}
		if err := c.await(ctx, forClose); err != nil {
			return err
		}
	}
}
