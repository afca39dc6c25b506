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
	epoch    string
	settings atomic.Pointer[Settings] // changed under mu

	// Guarded by hub.mu.
	users        int       // subscriptions, and calls under way; a channel without users may vanish
	idleSince    time.Time // since when there were none
	list         *idleList // where it is linked while there are none
	older, newer *channel

	// mu is what orders the channel: whoever holds it publishes, takes a place among the messages, or comes and goes. A
	// subscriber is called while it is held.
	mu      sync.Mutex
	offset  uint64 // of the last message
	history history
	keys    keys
	wake    chan struct{} // closed by the next publish; nil while nobody waits
	members members

	subscribers subscribers // has a lock of its own
	left        left        // has a lock of its own
}

// keep remembers m as long as the settings say.
func (c *channel) keep(m *Message) {
	before := c.bytes()
	c.history.append(m)
	if m.Key != "" {
		c.keys.add(m)
	}
	c.drop(m.Time)
	c.hub.bytes.Add(c.bytes() - before)
}

func (c *channel) trim(now time.Time) {
	before := c.bytes()
	c.drop(now)
	c.hub.bytes.Add(c.bytes() - before)
}

func (c *channel) drop(now time.Time) {
	c.history.trim(c.settings.Load(), now)
	c.keys.trim(now)
}

// bytes is what the channel remembers, in bytes.
func (c *channel) bytes() int64 { return c.history.bytes + c.keys.bytes }

func (c *channel) position() Position {
	return Position{Epoch: c.epoch, Offset: c.offset}
}

// locate resolves from to how many of the messages kept, counted from the newest, the reader has not seen. The caller
// holds c.mu.
func (c *channel) locate(from From) (missed int, err error) {
	c.trim(time.Now())
	switch from.kind {
	case fromNow:
		return 0, nil
	case fromLast:
		return min(c.history.count, 1), nil
	case fromOldest:
		return c.history.count, nil
	}
	after := from.position
	if (after.Epoch != "" && after.Epoch != c.epoch) || after.Offset > c.offset || c.offset-after.Offset > uint64(c.history.count) {
		return 0, &NotRecoverableError{Channel: c.name, After: after, Last: c.position(), Kept: c.history.count}
	}
	return int(c.offset - after.Offset), nil
}
