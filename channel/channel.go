package channel

import (
	"sync"
	"sync/atomic"
	"time"
)

// channel is one life of a named channel.
type channel struct {
	hub      *Hub
	name     string
	settings atomic.Pointer[Settings] // changed under mu

	// Guarded by hub.mu.
	users        int       // subscriptions, and calls under way; a channel without users may vanish
	guests       int       // those of them that do not keep it from being idle
	idleSince    time.Time // since when there were none
	list         *idleList // where it is linked while there are none
	loading      *loading  // nil once it has what the store has
	older, newer *channel

	// mu is what orders the channel: whoever holds it publishes, takes a place among the messages, or comes and goes. A
	// subscriber is called while it is held.
	mu      sync.Mutex
	epoch   string
	offset  uint64 // of the last message
	unsaved bool   // there is a store, and it was not told of the last message, or of any
	history history
	keys    *keys         // nil while there are none
	wake    chan struct{} // closed by the next publish; nil while nobody waits
	members *members      // made by the first who joins; it has a lock of its own for what is not mu's
	peered  *peered       // nil: it has no presence, or there are no peers
	gone    bool          // it has vanished

	subscribers subscribers // has a lock of its own
	saving      *saving     // has a lock of its own; nil without a store
	shared      *shared     // nil without a broker
}

// keep remembers m as long as the settings say.
func (c *channel) keep(m *Message) {
	before := c.bytes()
	c.history.append(m)
	c.drop(m.Time)
	c.hub.bytes.Add(c.bytes() - before)
}

// remember remembers the key of m, which is pending while p is.
func (c *channel) remember(m *Message, p *pending) {
	if m.Key != "" {
		before := c.bytes()
		c.addKey(m, p)
		c.hub.bytes.Add(c.bytes() - before)
	}
}

func (c *channel) trim(now time.Time) {
	before := c.bytes()
	c.drop(now)
	c.hub.bytes.Add(c.bytes() - before)
}

// recentBytes is how much of the history of a channel that is in the archive is in memory, too.
const recentBytes = 1 << 20

func (c *channel) drop(now time.Time) {
	c.history.trim(c.settings.Load(), now)
	for c.history.count > 1 && c.history.bytes > recentBytes && c.stored() {
		c.history.dropOldest()
	}
	if c.keys != nil {
		c.keys.trim(now)
		if len(c.keys.order) == 0 {
			c.keys = nil
		}
	}
}

func (c *channel) addKey(m *Message, p *pending) {
	if c.keys == nil {
		c.keys = &keys{known: make(map[string]*keyed)}
	}
	c.keys.add(m, p)
}

// stored says whether what the channel keeps is in the archive. The caller holds c.mu.
func (c *channel) stored() bool {
	if c.shared != nil {
		return c.settings.Load().kept() > 0
	}
	return c.hub.archive != nil && !c.unsaved && c.settings.Load().stored()
}

// bytes is what the channel remembers, in bytes.
func (c *channel) bytes() int64 {
	if c.keys == nil {
		return c.history.bytes
	}
	return c.history.bytes + c.keys.bytes
}

func (c *channel) position() Position {
	return Position{Epoch: c.epoch, Offset: c.offset}
}
