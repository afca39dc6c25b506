package channel

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Hub holds channels by name. Make one with [NewHub].
type Hub struct {
	options Options
	bytes   atomic.Int64 // what the histories of all channels take

	// mu guards what follows, and which channels are in use. It may be locked while a channel's locks are held; the
	// other way round only for an idle channel, of which nobody else holds a lock while waiting for mu.
	mu       sync.Mutex
	channels map[string]*channel
	idle     idleList // published to, once
	blank    idleList // asked for, but never published to: the first to go
	sweeping bool     // a sweep is due
}

// NewHub makes a hub without channels. Nil options are the defaults. A hub needs no closing: it holds nothing but
// memory, and a timer while it has channels.
func NewHub(o *Options) *Hub {
	return &Hub{options: o.withDefaults(), channels: make(map[string]*channel)}
}

// Publish puts m into the channel called name, and returns it as published: with its offset, epoch, time and id.
// Subscribers have been handed the message when Publish returns.
//
// The hub keeps m.Data: it must not be changed any more. Where a Subscriber panics the message is published
// nevertheless. The error is [ErrInvalid], [ErrTooLarge] or [ErrTooManyChannels].
func (h *Hub) Publish(name string, m Message) (*Message, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	if err := m.validate(h.options.MaxMessageBytes); err != nil {
		return nil, err
	}
	c, err := h.acquire(name)
	if err != nil {
		return nil, err
	}
	defer h.release(c)
	defer h.reclaim(c)
	return c.publish(m), nil
}

// Stats is what a hub holds at a moment.
type Stats struct {
	Channels int   // idle ones too
	Bytes    int64 // of all histories, about
}

// Stats says what the hub holds.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Channels: len(h.channels), Bytes: h.bytes.Load()}
}

// acquire finds or makes a channel and keeps it from vanishing until it is released.
func (h *Hub) acquire(name string) (*channel, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[name]
	switch {
	case c == nil:
		if len(h.channels) >= h.options.MaxChannels && !h.evictOldest() {
			return nil, ErrTooManyChannels
		}
		// The name may be a part of something longer, a whole request for instance.
		c = &channel{hub: h, name: strings.Clone(name), epoch: newEpoch()}
		h.channels[c.name] = c
		h.sweepLater()
	case c.users == 0:
		c.list.remove(c)
	}
	c.users++
	return c, nil
}

func (h *Hub) release(c *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.users--
	if c.users > 0 {
		return
	}
	c.idleSince = time.Now()
	// Its last user is gone, so that its offset stands still.
	if c.offset == 0 {
		h.blank.push(c)
	} else {
		h.idle.push(c)
	}
}
