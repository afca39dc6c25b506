// Package timerwheel keeps the deadlines of very many connections cheaply: a
// coarse, hashed timing wheel without goroutine, clock or allocation of its
// own. Its owner, an event loop or a server's goroutine, tells it the time.
//
// Deadlines of connections are nearly always moved later before they come (a
// message came, so the idle timeout starts over), hence moving one later is
// made the cheapest of all: it writes the new time and leaves the timer where
// it is. The wheel finds it at its old place, and only then carries it over.
package timerwheel

import (
	"math/bits"
	"time"
)

// A Timer belongs to a connection and lives in its struct; the zero value is a
// timer that is not scheduled. It must not be copied while it is scheduled, nor
// be scheduled on two wheels at once. It takes 24 bytes besides Value.
type Timer[T any] struct {
	// Value is what the wheel passes to fire. The owner sets it once.
	Value T

	next *Timer[T]
	prev **Timer[T] // what points at this timer; nil: not scheduled
	due  int64      // the tick it fires at; its slot comes no later
}

// A Wheel is a set of scheduled timers. It is not safe for concurrent use: its
// owner serialises all calls. A time is the monotonic time since the wheel's
// start, as its owner reckons it.
type Wheel[T any] struct {
	tick    time.Duration
	slots   []*Timer[T] // lists; the timers due at a tick are in slot tick mod len
	now     int64       // the tick Advance was told last
	swept   int64       // the slots of all ticks up to this one have been emptied
	soonest int64       // after the sweep no slot with timers comes before this tick
	firing  *Timer[T]   // what is left of the slot being emptied
	count   int
}

// New returns a wheel that stands at time 0. Timers fire with a resolution of
// tick. One revolution takes tick times slots, slots being rounded up to a
// power of two; a timer further away works as well, and is passed over once in
// each revolution. A slot takes 8 bytes. New panics unless both are positive.
func New[T any](tick time.Duration, slots int) *Wheel[T] {
	if tick <= 0 || slots <= 0 {
		panic("timerwheel: New: tick and slots must be positive")
	}
	return &Wheel[T]{
		tick:    tick,
		slots:   make([]*Timer[T], 1<<bits.Len(uint(slots-1))),
		soonest: 1,
	}
}

// Schedule makes t fire once, at the first tick that is neither before at nor
// already past, and so never before at and, if its owner calls Advance as Next
// asks, less than a tick after it. A timer that is scheduled already is moved.
func (w *Wheel[T]) Schedule(t *Timer[T], at time.Duration) {
	due := int64(at / w.tick)
	if at%w.tick > 0 {
		due++
	}
	due = max(due, w.now+1)
	switch {
	case t.prev == nil:
		w.count++
	case due >= t.due:
		t.due = due // its slot comes in time to carry it over
		return
	default:
		t.unlink()
	}
	t.due = due
	w.link(t)
}

// Stop takes t off the wheel, and reports whether it was scheduled.
func (w *Wheel[T]) Stop(t *Timer[T]) bool {
	if t.prev == nil {
		return false
	}
	t.unlink()
	w.count--
	return true
}

// Advance tells the wheel the time and calls fire with the Value of each timer
// that is due, in no particular order. While fire runs its timer is not
// scheduled. It may Schedule and Stop any timer, its own included: a timer it
// stops does not fire, one it schedules fires in a later Advance.
//
// However long the last call was ago, Advance looks at each slot at most once.
// A time before that of the last call counts as that one. If fire panics, the
// next call goes on with the timers that are left.
func (w *Wheel[T]) Advance(now time.Duration, fire func(T)) {
	w.now = max(w.now, int64(now/w.tick))
	w.soonest = max(w.soonest, w.now+1)
	w.swept = max(w.swept, w.now-int64(len(w.slots)))
	for w.firing != nil || w.swept < w.now {
		for t := w.firing; t != nil; t = w.firing {
			t.unlink()
			if t.due > w.now { // moved later, or of a later revolution
				w.link(t)
				continue
			}
			w.count--
			fire(t.Value)
		}
		if w.swept < w.now {
			w.swept++
			w.take(w.slot(w.swept))
		}
	}
}

// Next returns when Advance must be called again, or false if nothing is
// scheduled. It is never later than the first timer is due and later than the
// last Advance; it may be too early for a timer to fire, at most once for each
// that was moved later and once a revolution for each that is further away.
func (w *Wheel[T]) Next() (time.Duration, bool) {
	switch {
	case w.count == 0:
		return 0, false
	case w.firing != nil || w.swept < w.now: // within Advance, or after a panic of fire
		return time.Duration(w.now) * w.tick, true
	}
	for *w.slot(w.soonest) == nil {
		w.soonest++
	}
	return time.Duration(w.soonest) * w.tick, true
}

// Len returns how many timers are scheduled.
func (w *Wheel[T]) Len() int { return w.count }

func (w *Wheel[T]) slot(tick int64) **Timer[T] {
	return &w.slots[tick&int64(len(w.slots)-1)]
}

func (w *Wheel[T]) link(t *Timer[T]) {
	w.soonest = min(w.soonest, t.due)
	head := w.slot(t.due)
	t.next, t.prev = *head, head
	if t.next != nil {
		t.next.prev = &t.next
	}
	*head = t
}

func (t *Timer[T]) unlink() {
	*t.prev = t.next
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
}

// take moves the list of a slot to firing, so that what fire and Advance put
// into the same slot meanwhile waits for its next turn.
func (w *Wheel[T]) take(slot **Timer[T]) {
	w.firing, *slot = *slot, nil
	if w.firing != nil {
		w.firing.prev = &w.firing
	}
}
