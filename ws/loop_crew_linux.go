package ws

import (
	"sync"
	"time"
)

// crew are the goroutines that run the handlers of a loop's connections: one for each connection that has messages
// waiting, so that a handler that takes long holds up its own connection only. Those that have nothing to do are kept for a
// moment, since a new one would have to grow its stack for every message.
type crew struct {
	mu    sync.Mutex
	idle  []*hand // the one that worked last is at the end
	least int     // how many have been idle all the time since the last look
	timer *time.Timer
	armed bool
	done  bool // nobody is kept any more
}

// hand is one of a crew.
type hand struct {
	crew *crew
	work chan *Socket // has room for one
}

const (
	// maxIdle is how many of a crew are kept.
	maxIdle = 1024
	// idleTime is how long.
	idleTime = 100 * time.Millisecond
)

// handle has somebody call s.work.
func (c *crew) handle(s *Socket) {
	c.mu.Lock()
	n := len(c.idle) - 1
	if n < 0 {
		c.mu.Unlock()
		h := &hand{crew: c, work: make(chan *Socket, 1)}
		h.work <- s
		go h.run()
		return
	}
	h := c.idle[n]
	c.idle[n] = nil
	c.idle = c.idle[:n]
	c.least = min(c.least, n)
	c.mu.Unlock()
	h.work <- s
}

func (h *hand) run() {
	for s := range h.work {
		s.work()
		if !h.crew.rest(h) {
			return
		}
	}
}

// rest takes back who has nothing to do any more, unless there are enough.
func (c *crew) rest(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done || len(c.idle) >= maxIdle {
		return false
	}
	c.idle = append(c.idle, h)
	switch {
	case c.armed:
	case c.timer == nil:
		c.armed = true
		c.timer = time.AfterFunc(idleTime, c.dismiss)
	default:
		c.armed = true
		c.timer.Reset(idleTime)
	}
	return true
}

// dismiss ends those that nobody has needed since the last time.
func (c *crew) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.idle[:c.least] {
		close(h.work)
	}
	n := copy(c.idle, c.idle[c.least:])
	clear(c.idle[n:])
	c.idle = c.idle[:n]
	c.least = n
	if n == 0 {
		c.idle = nil
	}
	if c.armed = n > 0; c.armed {
		c.timer.Reset(idleTime)
	}
}

// close ends those that have nothing to do, now and from now on.
func (c *crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	for _, h := range c.idle {
		close(h.work)
	}
	c.idle, c.least = nil, 0
}

// late sees to it that what a handler sends while more messages wait, to leave with the answers to those, leaves even
// if the handler takes long.
type late struct {
	mu    sync.Mutex
	conns []*core
	spare []*core
	timer *time.Timer
}

// patience is how long what is sent may wait for what follows.
const patience = time.Millisecond

// add has c.flushSoon called after a moment.
func (l *late) add(c *core) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	switch {
	case len(l.conns) > 1:
	case l.timer == nil:
		l.timer = time.AfterFunc(patience, l.flush)
	default:
		l.timer.Reset(patience)
	}
}

func (l *late) flush() {
	l.mu.Lock()
	conns := l.conns
	l.conns, l.spare = l.spare, nil
	l.mu.Unlock()
	for i, c := range conns {
		c.flushSoon()
		conns[i] = nil
	}
	l.mu.Lock()
	l.spare = conns[:0]
	l.mu.Unlock()
}
