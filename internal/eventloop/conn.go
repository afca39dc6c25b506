//go:build linux

package eventloop

import (
	"syscall"
	"time"

	"baro.dev/internal/timerwheel"
)

// Handler is told what happens to a connection, one call at a time for each loop: on the loop's goroutine, or, where
// Attend is called after the loop has ended, on one in its place. It must not block.
type Handler interface {
	// Ready is called when there may be something to read, or room to write. hungUp says that the peer has ended its
	// side, or that there is an error, which a read will tell. Each is reported once: who does not read all there is
	// calls Conn.Again, or remembers.
	Ready(readable, hungUp, writable bool)
	// Attend is called after Conn.Attend, once for all calls since the last time.
	Attend()
	// Flush is called at the end of the turn in which Conn.Dirty was called.
	Flush()
	// Expire is called when the time set by Conn.SetTimer has come.
	Expire()
	// Drain is called once after Group.Close, for a connection that starts after that, too.
	Drain()
}

// Conn is the place of a connection in its loop; it is part of the struct of what handles it. Start must have been called before
// anything else. What is not said to be for any goroutine is for the loop's.
type Conn struct {
	timer timerwheel.Timer[Handler] // its Value is the handler, whether or not it is set
	loop  *Loop
	fd    int32

	started   bool // Start has been called; guarded by the loop's mutex, as is
	attending bool // waits in the inbox
	placed    bool // is in the loop's table
	again     bool
	dirty     bool
	closed    bool
}

func (c *Conn) handler() Handler { return c.timer.Value }

// Loop returns the connection's loop, which never changes.
func (c *Conn) Loop() *Loop { return c.loop }

// Attend has the handler's Attend called soon, but not before Start. Any goroutine may call it, even after Close.
func (c *Conn) Attend() { c.loop.post(c) }

// Again has Ready called in the next turn, as if there were something to read.
func (c *Conn) Again() {
	if !c.again && !c.closed {
		c.again = true
		c.loop.again = append(c.loop.again, c)
	}
}

// Dirty has Flush called at the end of this turn.
func (c *Conn) Dirty() {
	if !c.dirty && !c.closed {
		c.dirty = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// SetTimer has Expire called once, at the given time of Loop.Now or a tick later, and not at any time set before.
func (c *Conn) SetTimer(at time.Duration) {
	if c.closed {
		return
	}
	// A wheel moves a timer to a later time for nothing, and finds it at the earlier one.
	c.loop.wheel.Schedule(&c.timer, at)
}

// StopTimer unsets the timer.
func (c *Conn) StopTimer() { c.loop.wheel.Stop(&c.timer) }

// Read reads without waiting, as read(2). Any goroutine may call it, as long as the connection is not closed.
func (c *Conn) Read(p []byte) (int, syscall.Errno) { return c.loop.kernel.Read(int(c.fd), p) }

// Write writes head and then tail, which may be empty, without waiting, as writev(2). Any goroutine may call it, as long as the
// connection is not closed.
func (c *Conn) Write(head, tail []byte) (int, syscall.Errno) {
	return c.loop.kernel.Write(int(c.fd), head, tail)
}

// WatchRoom has Ready called when there is room to write: soon, if there is. Any goroutine may call it, as long as the
// connection is not closed.
func (c *Conn) WatchRoom() { c.loop.kernel.WatchRoom(int(c.fd)) }

// Shutdown ends the writing side. Any goroutine may call it, as long as the connection is not closed.
func (c *Conn) Shutdown() { c.loop.kernel.Shutdown(int(c.fd)) }

// Fd returns the descriptor.
func (c *Conn) Fd() int { return int(c.fd) }

// Close closes the descriptor and takes the connection off its loop: of the Handler's methods only Attend may be
// called after that. Nobody may be using the descriptor.
func (c *Conn) Close() {
	if !c.closed {
		c.leave()
		c.loop.kernel.Close(int(c.fd))
		c.loop.left()
	}
}

func (c *Conn) leave() {
	c.closed = true
	if c.placed && c.fd >= 0 {
		c.loop.table[c.fd] = nil
	}
	c.loop.wheel.Stop(&c.timer)
}

// Forgotten reports whether the loop, after Close, Release or Replace, has no reference to c any more, so that it can be
// used for something else.
func (c *Conn) Forgotten() bool {
	c.loop.mu.Lock()
	defer c.loop.mu.Unlock()
	return c.closed && !c.attending && !c.again && !c.dirty
}

// Release takes the connection off its loop, as Close does, and returns the descriptor, which is the caller's.
func (c *Conn) Release() int {
	c.leave()
	c.loop.kernel.Remove(int(c.fd))
	c.loop.left()
	return int(c.fd)
}

// Attach makes c something that belongs to the loop but has no descriptor: Attend, Dirty and SetTimer are there for
// it. It lives as long as the loop. Attach is for prepare, and the loop's goroutine.
func (l *Loop) Attach(c *Conn, h Handler) {
	c.init(l, h, -1)
	c.started, c.placed = true, true
}

// Replace gives the descriptor of old, with its place in the loop and its timer unset, to c. old is as after Close.
func (c *Conn) Replace(old *Conn, h Handler) {
	old.leave()
	c.init(old.loop, h, int(old.fd))
	c.started, c.placed = true, true
	c.loop.table[c.fd] = c
}

func (c *Conn) init(l *Loop, h Handler, fd int) {
	c.loop, c.timer.Value, c.fd = l, h, int32(fd)
}
