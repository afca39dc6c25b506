// Package clock has the time by another machine's clock: that of a broker, by which all processes of a cluster count how old messages are, so
// that it does not matter how wrong their own are.
package clock

import (
	"sync"
	"time"
)

// A Clock is another one, as far as it is known: until [Clock.Saw] is called it is that of this process. The zero Clock is ready; it is for
// several goroutines.
type Clock struct {
	// Local is the clock of this process. [time.Now].
	Local func() time.Time

	mu    sync.Mutex
	ahead time.Duration // the other one
	seen  bool
}

// Here is the time by the clock of this process.
func (c *Clock) Here() time.Time {
	if c.Local != nil {
		return c.Local()
	}
	return time.Now()
}

// Now is the time by the other clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	ahead := c.ahead
	c.mu.Unlock()
	return c.Here().Add(ahead)
}

// Saw notes that the other clock showed a time at a moment that was not before asked and not after answered, by the clock here. What is known
// changes by no more than that says: a slow answer to somebody whose clock is right changes nothing.
func (c *Clock) Saw(asked, answered, other time.Time) {
	least, most := other.Sub(answered), other.Sub(asked)
	if most < least { // the clock here was set back meanwhile
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = min(max(c.ahead, least), most)
	c.seen = true
}

// Seen says whether Saw was called.
func (c *Clock) Seen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}
