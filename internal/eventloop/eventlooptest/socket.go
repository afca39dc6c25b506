//go:build linux

package eventlooptest

import (
	"math"
	"slices"
	"syscall"
)

// Unlimited is a room that is never used up.
const Unlimited = math.MaxInt

// Socket is a connection, as its peer sees it. It is there for the test even after the descriptor has been closed.
type Socket struct {
	sys     *System
	kernel  *kernel // that watches it
	in      []byte  // what the peer has sent and nobody has read
	out     []byte
	room    int
	fd      int32
	extra   uint32 // bits of the next event that are not true
	queued  bool
	short   bool // a write did not find room for all
	watched bool // for room
	ended   bool // the peer has ended its side
	reset   bool
	shut    bool // this side has been ended
	closed  bool
}

// Fd returns the descriptor.
func (c *Socket) Fd() int { return int(c.fd) }

// Feed has the peer send p. What is fed to a socket that has nothing unread is not copied, and must not be changed.
func (c *Socket) Feed(p []byte) {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	switch {
	case c.closed || c.ended || c.reset:
		return
	case len(c.in) == 0:
		c.in = slices.Clip(p)
	default:
		c.in = append(c.in, p...)
	}
	c.wake()
}

// End has the peer end its side.
func (c *Socket) End() {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	c.ended = true
	c.wake()
}

// Reset has the peer reset the connection.
func (c *Socket) Reset() {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	c.reset = true
	c.wake()
}

// Room makes room for n more bytes to be written. A socket whose room was Unlimited until then has just n.
func (c *Socket) Room(n int) {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	if c.room == Unlimited || n == Unlimited {
		c.room = n
	} else {
		c.room += n
	}
	if c.short && c.room > 0 {
		c.short = false
		c.wake()
	}
}

// Spurious has an event reported that says whatever there is to say, and bits as well.
func (c *Socket) Spurious(bits uint32) {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	c.extra |= bits
	c.wake()
}

// Output takes what has been written.
func (c *Socket) Output() []byte {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	p := c.out
	c.out = nil
	return p
}

// Unread returns how many bytes nobody has read.
func (c *Socket) Unread() int {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	return len(c.in)
}

// Ended reports whether this side has been shut down or closed.
func (c *Socket) Ended() bool {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	return c.shut || c.closed
}

// Failed reports whether the peer has ended its side, or reset the connection.
func (c *Socket) Failed() bool {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	return c.ended || c.reset
}

// Closed reports whether the descriptor has been closed.
func (c *Socket) Closed() bool {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	return c.closed
}

// wake has the kernel that watches the socket look at it. mu is held.
func (c *Socket) wake() {
	if c.kernel == nil || c.closed || c.queued {
		return
	}
	c.queued = true
	c.kernel.queue = append(c.kernel.queue, c)
	c.sys.changed.Broadcast()
}

// events are the bits of what is true of the socket. mu is held.
func (c *Socket) events() uint32 {
	bits := c.extra
	c.extra = 0
	if len(c.in) > 0 {
		bits |= syscall.EPOLLIN
	}
	if c.watched && (c.room > 0 || c.reset) {
		bits |= syscall.EPOLLOUT
	}
	if c.ended {
		bits |= syscall.EPOLLIN | syscall.EPOLLRDHUP
	}
	if c.ended && c.shut {
		bits |= syscall.EPOLLHUP
	}
	if c.reset {
		bits |= syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	}
	return bits
}

// read is read(2). mu is held.
func (c *Socket) read(p []byte) (int, syscall.Errno) {
	switch {
	case len(c.in) > 0:
		n := copy(p, c.in)
		if c.in = c.in[n:]; len(c.in) == 0 {
			c.in = nil
		}
		return n, 0
	case c.reset:
		return 0, syscall.ECONNRESET
	case c.ended:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

// write is writev(2). mu is held.
func (c *Socket) write(head, tail []byte) (int, syscall.Errno) {
	switch {
	case c.reset:
		return 0, syscall.ECONNRESET
	case c.shut:
		return 0, syscall.EPIPE
	}
	n := c.take(head)
	if n == len(head) && len(tail) > 0 {
		n += c.take(tail)
	}
	c.short = n < len(head)+len(tail)
	if n == 0 && c.short {
		return 0, syscall.EAGAIN
	}
	return n, 0
}

// take takes what there is room for. mu is held.
func (c *Socket) take(p []byte) int {
	n := min(len(p), c.room)
	if c.room != Unlimited {
		c.room -= n
	}
	if c.sys.Sink != nil {
		c.sys.Sink(c, p[:n])
	} else {
		c.out = append(c.out, p[:n]...)
	}
	return n
}

// HasRoom reports whether something could be written.
func (c *Socket) HasRoom() bool {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	return c.room > 0
}

// Limited reports whether there is an end to the room.
func (c *Socket) Limited() bool {
	c.sys.mu.Lock()
	defer c.sys.mu.Unlock()
	return c.room != Unlimited
}

// Bits for Spurious.
const (
	In     = syscall.EPOLLIN
	Out    = syscall.EPOLLOUT
	HungUp = syscall.EPOLLIN | syscall.EPOLLRDHUP
)
