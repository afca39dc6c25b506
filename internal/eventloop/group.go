//go:build linux

// Package eventloop reads and writes very many connections on few goroutines, on Linux's epoll.
//
// A Group has a few loops. A connection belongs to one of them for good: its handler is called on that loop's goroutine,
// and nothing is shared between loops. Other goroutines reach a loop through its inbox, by Conn.Attend, and may write to
// a connection themselves.
//
// A loop handles in turns: what was posted to its inbox, then the events, then what is to be flushed. Descriptors are
// closed by their loop only, so that no event of a turn can be taken for one of another connection that got the same
// descriptor: it is not in the table before the next turn, unless the loop opens it itself, and forgets such events.
package eventloop

import (
	"sync"
	"sync/atomic"
)

// Group is a number of loops, which start when there is something for them to do, and end when there has been nothing
// for a while. All methods may be called from any goroutine.
type Group struct {
	mu      sync.Mutex
	loops   []*Loop // nil: has not been started, or has ended
	kernel  func() (Kernel, error)
	prepare func(*Loop)
	closing atomic.Bool
}

// NewGroup returns a group of n loops, on kernels that are made as needed. prepare is called for each new loop.
func NewGroup(n int, kernel func() (Kernel, error), prepare func(*Loop)) *Group {
	return &Group{loops: make([]*Loop, n), kernel: kernel, prepare: prepare}
}

// Join makes c a connection of the loop that has the fewest. From then on c can be written to; it has no events before
// Start. After an error fd is the caller's.
func (g *Group) Join(c *Conn, h Handler, fd int) error {
	l, err := g.pick()
	if err == nil {
		c.init(l, h, fd)
	}
	return err
}

// pick returns the loop that has the fewest connections, and counts one more.
func (g *Group) pick() (*Loop, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	best := 0
	for i, l := range g.loops {
		if l == nil {
			best = i
			break
		}
		if l.conns.Load() < g.loops[best].conns.Load() {
			best = i
		}
	}
	l := g.loops[best]
	if l == nil {
		k, err := g.kernel()
		if err != nil {
			return nil, err
		}
		l = newLoop(g, k)
		g.prepare(l)
		g.loops[best] = l
		go l.run()
	}
	l.conns.Add(1)
	return l, nil
}

// Open is Join and Start, on the goroutine of the loop here: a connection that stays there is told nothing but Attend, and at once.
func (g *Group) Open(here *Loop, c *Conn, h Handler, fd int) error {
	l, err := g.pick()
	if err != nil {
		return err
	}
	c.init(l, h, fd)
	if l != here {
		return c.Start()
	}
	c.started = true
	l.forget(fd)
	l.place(c)
	err = l.kernel.Add(fd)
	h.Attend()
	if l.draining && !c.closed {
		h.Drain()
	}
	return err
}

// Start begins to report the events of c, after a call of its Attend. After an error there are no events, but Attend is
// called nevertheless, and Close is for the handler to call.
func (c *Conn) Start() error {
	// Posted first: the loop has it in its table when the first event comes. The lock keeps the loop from closing the
	// descriptor before it is added.
	l := c.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	c.started, c.attending = true, true
	l.inbox = append(l.inbox, c)
	l.posted.Store(true)
	err := l.kernel.Add(int(c.fd))
	if l.parked.CompareAndSwap(true, false) {
		l.kernel.Wake()
	}
	return err
}

// Loops calls f for each loop that is running. Those that start meanwhile may be left out.
func (g *Group) Loops(f func(*Loop)) {
	var some [16]*Loop // without the lock: f may take its time
	g.mu.Lock()
	all := append(some[:0], g.loops...)
	g.mu.Unlock()
	for _, l := range all {
		if l != nil {
			f(l)
		}
	}
}

// Close has each loop end as soon as it has no connections, instead of waiting for some.
func (g *Group) Close() {
	g.closing.Store(true)
	g.Loops(func(l *Loop) { l.kernel.Wake() })
}

// retire ends l unless there is something for it to do.
func (g *Group) retire(l *Loop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns.Load() > 0 || l.busy() {
		return
	}
	l.retired = true
	for i := range g.loops {
		if g.loops[i] == l {
			g.loops[i] = nil
		}
	}
	l.kernel.Release()
}
