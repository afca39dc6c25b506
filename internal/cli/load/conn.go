package load

import (
	"net"
	"time"
)

// maxUnsent is how many bytes may wait on a connection because the server takes them too slowly, one message apart.
const maxUnsent = 1 << 20

// A speaker is what is spoken over a connection, and by whom. Its methods are called under the worker's mu.
type speaker interface {
	// hear takes what has come, which is lent. An error ends the connection.
	hear(b []byte, now int64) error
	// ended is told once that the connection has, and why.
	ended(err error)
	// goodbye is what is said before the connection is closed by this side.
	goodbye() []byte
}

// A conn is a connection of a worker, by whose mu all of it is guarded.
type conn struct {
	worker  *worker
	speaker speaker

	fd       int           // in the worker's poller; -1: stream is read and written by goroutines
	stream   net.Conn      // nil: fd is
	out      []byte        // waits to be sent
	idle     bool          // the goroutine that writes waits for something in out
	pending  chan struct{} // which it is told by this
	over     bool
	farewell bool // goodbye was said: that it ends is no mistake
}

// send sends b, or what can be sent of it at once; the rest waits. b is the caller's again.
func (c *conn) send(b []byte) {
	if c.over {
		return
	}
	c.worker.tally.bytesOut += int64(len(b))
	if c.stream != nil {
		c.out = append(c.out, b...)
		if c.idle {
			c.idle = false
			c.pending <- struct{}{}
		}
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n, err := c.worker.poller.write(c, b)
	if err != nil {
		c.end(err)
		return
	}
	if n < len(b) {
		c.out = append(c.out, b[n:]...)
	}
}

// heard gives what has come to the speaker.
func (c *conn) heard(b []byte, now int64) {
	c.worker.tally.bytesIn += int64(len(b))
	if err := c.speaker.hear(b, now); err != nil {
		c.end(err)
	}
}

// end ends the connection, at most once.
func (c *conn) end(err error) {
	if c.over {
		return
	}
	c.over, c.out = true, nil
	if c.stream != nil {
		c.stream.Close()
		if c.idle {
			c.idle = false
			c.pending <- struct{}{}
		}
	} else {
		c.worker.poller.remove(c)
	}
	c.worker.left(c)
	if c.farewell {
		err = nil
	}
	if c.speaker != nil { // it may have failed at once
		c.speaker.ended(err)
	} else if err != nil {
		c.worker.errors.add(err)
	}
}

// run reads and writes the stream of a connection that no poller has.
func (c *conn) run() {
	w := c.worker
	w.goroutines.Go(c.write)
	w.goroutines.Go(func() {
		buf := make([]byte, 16<<10)
		for {
			n, err := c.stream.Read(buf)
			w.mu.Lock()
			if n > 0 && !c.over {
				c.heard(buf[:n], w.now())
			}
			if err != nil {
				c.end(err)
			}
			over := c.over
			w.mu.Unlock()
			if over {
				return
			}
		}
	})
}

func (c *conn) write() {
	w := c.worker
	var leaving []byte
	for {
		w.mu.Lock()
		for !c.over && len(c.out) == 0 {
			c.idle = true
			w.mu.Unlock()
			<-c.pending
			w.mu.Lock()
		}
		if c.over {
			w.mu.Unlock()
			return
		}
		leaving, c.out = c.out, leaving[:0]
		w.mu.Unlock()
		if _, err := c.stream.Write(leaving); err != nil {
			w.mu.Lock()
			c.end(err)
			w.mu.Unlock()
			return
		}
	}
}

// shut says goodbye and has the connection end, which the server may do first.
func (c *conn) shut() {
	if c.over || c.farewell {
		return
	}
	c.farewell = true
	if b := c.speaker.goodbye(); b != nil {
		c.send(b)
	} else {
		c.end(nil)
	}
}

// goodbyeTime is how long servers have to answer a goodbye.
const goodbyeTime = time.Second
