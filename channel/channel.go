package channel

import (
	"sync"
	"time"
)

// channel is one life of a named channel.
type channel struct {
	hub   *Hub
	name  string
	epoch string

	// Guarded by hub.mu.
	users        int       // subscriptions, and calls under way; a channel without users may vanish
	idleSince    time.Time // since when there were none
	list         *idleList // where it is linked while there are none
	older, newer *channel

	// mu is what orders the channel: whoever holds it publishes, or takes a place among the messages. A subscriber is
	// called while it is held.
	mu      sync.Mutex
	offset  uint64 // of the last message
	history history
	wake    chan struct{} // closed by the next publish; nil while nobody waits

	subscribers subscribers // has a lock of its own
}

func (c *channel) publish(m Message) *Message {
	// In one allocation, since every message has a sharing.
	p := &struct {
		Message
		own sharing
	}{Message: m}
	p.sharing = &p.own

	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset++
	p.Offset, p.Epoch, p.Time = c.offset, c.epoch, time.Now()
	if p.ID == "" {
		p.ID = p.Position().String()
	}
	c.keep(&p.Message)
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
	defer p.own.end()
	c.subscribers.deliver(&p.Message)
	return &p.Message
}

func (c *channel) keep(m *Message) {
	before := c.history.bytes
	c.history.append(m)
	c.history.trim(&c.hub.options, m.Time)
	c.hub.bytes.Add(c.history.bytes - before)
}

func (c *channel) trim(now time.Time) {
	before := c.history.bytes
	c.history.trim(&c.hub.options, now)
	c.hub.bytes.Add(c.history.bytes - before)
}

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
	case fromOldest:
		return c.history.count, nil
	}
	after := from.position
	if (after.Epoch != "" && after.Epoch != c.epoch) || after.Offset > c.offset || c.offset-after.Offset > uint64(c.history.count) {
		return 0, &NotRecoverableError{Channel: c.name, After: after, Last: c.position(), Kept: c.history.count}
	}
	return int(c.offset - after.Offset), nil
}
