//go:build linux

package eventloop

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/timerwheel"
)

const (
	// maxEvents is how many events one turn handles at most.
	maxEvents = 256
	// bufferSize is the size of a loop's read buffer: a large message in one piece, and small enough to stay in the
	// processor's cache.
	bufferSize = 512 << 10
	// Timers fire with a resolution of timerTick.
	timerTick  = 5 * time.Millisecond
	timerSlots = 4096
	// A loop that is never idle reads the clock every clockTurns turns, and lets other goroutines run every
	// yieldTurns, for it makes no system call that Go's scheduler would see.
	clockTurns = 8
	yieldTurns = 32
	// linger is how long a loop without connections waits for one.
	linger = 100 * time.Millisecond
	// A turn that starts many goroutines lets them run after every maxYields of them, while what they work on is in the
	// processor's cache, unless others take longer than maxAway before it is the loop's turn again.
	maxYields = 32
	maxAway   = 8 * time.Millisecond // Go's scheduler lets a goroutine that does not rest run for 10
)

// Loop reads and writes its connections on one goroutine. Only its inbox is shared with others.
type Loop struct {
	// Local is what Group's prepare has made for this loop. It belongs to the loop's goroutine.
	Local any
	// Buffer is for what is read and handled within one call of a Handler.
	Buffer []byte

	group  *Group
	kernel Kernel
	conns  atomic.Int64 // those on their way included

	mu     sync.Mutex
	inbox  []*Conn
	posted atomic.Bool // inbox is not empty
	parked atomic.Bool

	table []*Conn // by descriptor
	wheel *timerwheel.Wheel[Handler]
	start time.Time
	now   time.Duration
	turns uint

	// What the turn at hand has yet to do. It is here and not on the stack, since a handler may end the goroutine
	// (runtime.Goexit).
	events   [maxEvents]Event
	next, n  int
	attended []*Conn
	again    []*Conn
	repeated []*Conn
	dirty    []*Conn
	leaving  []*Conn // have not been told that the group is closed
	draining bool    // the others have
	tick     bool    // timers may be due
	yields   int     // goroutines that have been started since others could run
	away     bool    // others have taken long

	retired bool       // guarded by mu
	late    sync.Mutex // held by whoever calls Attend after that
}

func newLoop(g *Group, k Kernel) *Loop {
	l := &Loop{
		group:  g,
		kernel: k,
		Buffer: make([]byte, bufferSize),
		wheel:  timerwheel.New[Handler](timerTick, timerSlots),
		start:  time.Now(),
	}
	return l
}

// Now returns the time since the loop began, as the timers have it: up to a few turns old.
func (l *Loop) Now() time.Duration { return l.now }

// Yield tells that a goroutine has been started. It runs before the loop's next turn, or at once if there are many.
func (l *Loop) Yield() {
	if l.yields++; l.yields == maxYields {
		l.YieldNow()
	}
}

// YieldNow lets goroutines that have been started run. Handlers call it where they may as well return.
func (l *Loop) YieldNow() {
	if l.away {
		return
	}
	l.yields = 0
	before := time.Now()
	runtime.Gosched()
	l.away = time.Since(before) > maxAway
}

func (l *Loop) post(c *Conn) {
	l.mu.Lock()
	posted, retired := c.attending || !c.started, l.retired
	if !posted {
		c.attending = true
		if !retired {
			l.inbox = append(l.inbox, c)
			l.posted.Store(true)
		}
	}
	l.mu.Unlock()
	switch {
	case posted:
	case retired:
		go l.attendLate(c)
	case l.parked.Load() && l.parked.CompareAndSwap(true, false):
		l.kernel.Wake()
	}
}

// attendLate is for those that are posted after the loop has ended: one at a time, as ever.
func (l *Loop) attendLate(c *Conn) {
	l.late.Lock()
	defer l.late.Unlock()
	l.mu.Lock()
	c.attending = false
	l.mu.Unlock()
	c.handler().Attend()
}

func (l *Loop) run() {
	defer func() {
		if !l.retired {
			go l.run() // a handler has ended the goroutine
		}
	}()
	l.finishTurn()
	for {
		l.next, l.n = 0, l.kernel.Poll(l.events[:])
		if l.n == 0 && !l.busy() {
			if l.n = l.park(); l.retired {
				return
			}
		}
		l.turn()
	}
}

// busy reports whether there is something to do without events.
func (l *Loop) busy() bool { return len(l.again) > 0 || l.posted.Load() }

// park waits until there is something to do.
func (l *Loop) park() int {
	l.turns = 0 // the clock is read after it
	var deadline time.Time
	if next, ok := l.wheel.Next(); ok {
		deadline = l.start.Add(next)
	}
	var idle time.Time // when a loop without connections ends
	if l.conns.Load() == 0 {
		idle = time.Now()
		if !l.group.closing.Load() {
			idle = idle.Add(linger)
		}
		if deadline.IsZero() || idle.Before(deadline) {
			deadline = idle
		}
	}
	l.parked.Store(true)
	n := 0
	if !l.busy() {
		n = l.kernel.Park(l.events[:], deadline)
	}
	l.parked.Store(false)
	if n == 0 && !idle.IsZero() && (l.group.closing.Load() || time.Until(idle) <= 0) {
		l.group.retire(l)
	}
	return n
}

func (l *Loop) turn() {
	if l.turns%clockTurns == 0 {
		l.now = time.Since(l.start)
		l.tick = true
	}
	if l.posted.Load() {
		l.mu.Lock()
		l.attended, l.inbox = l.inbox, l.attended[:0]
		for _, c := range l.attended {
			c.attending = false
		}
		l.posted.Store(false)
		l.mu.Unlock()
		slices.Reverse(l.attended) // taken from the end
	}
	l.again, l.repeated = l.repeated[:0], l.again
	l.finishTurn()
	if l.turns++; l.yields > 0 || l.turns == yieldTurns {
		l.yields, l.turns, l.away = 0, 0, false // it may take long
		runtime.Gosched()
	}
}

// finishTurn does what the turn at hand has yet to do.
func (l *Loop) finishTurn() {
	if l.group.closing.Load() && !l.draining {
		l.draining = true
		for _, c := range l.table {
			if c != nil {
				l.leaving = append(l.leaving, c)
			}
		}
	}
	for c := pop(&l.attended); c != nil; c = pop(&l.attended) {
		if l.place(c) && l.draining {
			l.leaving = append(l.leaving, c)
		}
		c.handler().Attend()
	}
	for c := pop(&l.leaving); c != nil; c = pop(&l.leaving) {
		if !c.closed {
			c.handler().Drain()
		}
	}
	for l.next < l.n {
		e := &l.events[l.next]
		l.next++
		// What is not in the table is the descriptor that wakes, or has been closed in this turn.
		if fd := int(e.Fd); fd < len(l.table) && l.table[fd] != nil {
			l.table[fd].handler().Ready(e.Events&readable != 0, e.Events&hungUp != 0, e.Events&writable != 0)
		}
	}
	for c := pop(&l.repeated); c != nil; c = pop(&l.repeated) {
		if c.again = false; !c.closed {
			c.handler().Ready(true, false, false)
		}
	}
	if l.tick {
		l.wheel.Advance(l.now, Handler.Expire)
		l.tick = false
	}
	for c := pop(&l.dirty); c != nil; c = pop(&l.dirty) {
		if c.dirty = false; !c.closed {
			c.handler().Flush()
		}
	}
}

func pop(list *[]*Conn) *Conn {
	last := len(*list) - 1
	if last < 0 {
		return nil
	}
	c := (*list)[last]
	(*list)[last] = nil
	*list = (*list)[:last]
	return c
}

// place puts c into the table, if it is new, and reports that.
func (l *Loop) place(c *Conn) bool {
	if c.placed || c.closed {
		return false
	}
	c.placed = true
	if n := int(c.fd) + 1; n > len(l.table) {
		l.table = slices.Grow(l.table, n-len(l.table))[:n]
	}
	l.table[c.fd] = c
	return true
}

// forget drops what events of this turn there are left of a descriptor: they are of a connection that had it before.
func (l *Loop) forget(fd int) {
	for i := l.next; i < l.n; i++ {
		if e := &l.events[i]; int(e.Fd) == fd {
			e.Fd = math.MaxInt32
		}
	}
}

// left counts a connection that has been closed.
func (l *Loop) left() { l.conns.Add(-1) }
