// Package crew runs what comes up now and then, and may block, on goroutines that are kept for a moment in between: a new
// one would have to grow its stack each time.
package crew

import (
	"sync"
	"time"
)

// Worker has something to do.
type Worker interface {
	// Work does it. It is called once for each Handle, on a goroutine of its own. It may end it (runtime.Goexit).
	Work()
}

// Crew are goroutines, as many as there is work for. The zero Crew is ready. All methods may be called concurrently.
type Crew struct {
	mu    sync.Mutex
	idle  []*hand // the one that worked last is at the end
	least int     // how many have been idle all the time since the last look
	timer *time.Timer
	armed bool
	done  bool // nobody is kept any more
}

// hand is one of a crew.
type hand struct {
	crew *Crew
	work chan Worker // has room for one
}

const (
	// maxIdle is how many of a crew are kept.
	maxIdle = 1024
	// idleTime is how long.
	idleTime = 100 * time.Millisecond
)

// Handle has somebody call w.Work.
func (c *Crew) Handle(w Worker) {
	c.mu.Lock()
	n := len(c.idle) - 1
	if n < 0 {
		c.mu.Unlock()
		h := &hand{crew: c, work: make(chan Worker, 1)}
		h.work <- w
		go h.run()
		return
	}
	h := c.idle[n]
	c.idle[n] = nil
	c.idle = c.idle[:n]
	c.least = min(c.least, n)
	c.mu.Unlock()
	h.work <- w
}

func (h *hand) run() {
	for w := range h.work {
		w.Work()
		if !h.crew.rest(h) {
			return
		}
	}
}

// rest takes back who has nothing to do any more, unless there are enough.
func (c *Crew) rest(h *hand) bool {
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
func (c *Crew) dismiss() {
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

// Close ends those that have nothing to do, now and from now on. Work goes on being done.
func (c *Crew) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	for _, h := range c.idle {
		close(h.work)
	}
	c.idle, c.least = nil, 0
}
