//go:build linux

// Package eventloop reads and writes very many connections on few goroutines, on Linux's epoll.
//
// A Group has a few loops. A connection belongs to one of them for good: its handler is called on that loop's goroutine,
// and nothing is shared between loops. Other goroutines reach a loop through its inbox, by Conn.Attend, and may write to
// a connection themselves.
//
// A loop handles in turns: what was posted to its inbox, then the events, then what is to be flushed. Descriptors are
// closed by their loop only, so that no event of a turn can be taken for one of another connection that got the same
// descriptor: it cannot be in the table before the next turn.
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
			return err
		}
		l = newLoop(g, k)
		g.prepare(l)
		g.loops[best] = l
		go l.run()
	}
	l.conns.Add(1)
	c.init(l, h, fd)
	return nil
}

// Start begins to report the events of c, after a call of its Attend. After an error, c is closed, and its Attend is
// called nevertheless.
func (c *Conn) Start() error {
	// Posted first: the loop has it in its table when the first event comes, which is at once, since there is room to
	// write. So nobody needs to wake it.
	l := c.loop
	l.mu.Lock()
	c.started, c.attending = true, true
	l.inbox = append(l.inbox, c)
	l.posted.Store(true)
	l.mu.Unlock()
	err := l.kernel.Add(int(c.fd))
	if err != nil {
		l.kernel.Wake()
	}
	return err
}

// Loops calls f for each loop that is running. Those that start meanwhile may be left out.
func (g *Group) Loops(f func(*Loop)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.loops {
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

// retire ends l unless it has been given a connection.
func (g *Group) retire(l *Loop) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.conns.Load() > 0 || l.busy() {
		return false
	}
	for i := range g.loops {
		if g.loops[i] == l {
			g.loops[i] = nil
		}
	}
	l.kernel.Release()
	return true
}
