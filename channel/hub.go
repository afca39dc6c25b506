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
	archive archive      // the store or the broker; nil without
	bytes   atomic.Int64 // what the histories of all channels take
	rules   atomic.Pointer[rules]

	subscriptions atomic.Int64

	reloading sync.Mutex   // held while the rules are replaced; before mu
	storing   sync.RWMutex // held while the archive is asked
	ended     bool         // the archive is closed, or about to be; guarded by storing

	// mu guards what follows, and which channels are in use. It may be locked while a channel's locks are held; the
	// other way round only for an idle channel, of which nobody else holds a lock while waiting for mu.
	mu       sync.Mutex
	channels map[string]*channel
	idle     idleList    // published to, once
	blank    idleList    // asked for, but never published to: the first to go
	sweeper  *time.Timer // until the next sweep; nil where none is due
	closed   bool
}

// NewHub makes a hub without channels. Nil options are the defaults. A hub without a store or a broker needs no closing: it
// holds nothing but memory, and a timer while it has channels. Rules that [ValidateRules] refuses are a panic, and so are a
// store and a broker at once.
func NewHub(o *Options) *Hub {
	h := &Hub{options: o.withDefaults(), channels: make(map[string]*channel)}
	if err := ValidateRules(h.options.Rules); err != nil {
		panic(err)
	}
	switch {
	case h.options.Store != nil && h.options.Broker != nil:
		panic("channel: a hub has a store or a broker, not both")
	case h.options.Store != nil:
		h.archive = h.options.Store
	case h.options.Broker != nil:
		h.archive = h.options.Broker
	}
	h.rules.Store(newRules(h.options.Rules, &h.options))
	if h.options.Peers != nil {
		h.options.Peers.Begin(h.here)
	}
	return h
}

// Close ends the hub: whatever uses a channel is refused with [ErrClosed] from now on. What is being saved is waited for,
// then the store, or the broker, is closed; the error is theirs. Subscriptions remain until they are closed. Closing
// again does nothing.
func (h *Hub) Close() error {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	if h.sweeper != nil {
		h.sweeper.Stop()
	}
	h.mu.Unlock()
	if again || h.archive == nil {
		return nil
	}
	h.storing.Lock()
	h.ended = true
	h.storing.Unlock()
	return h.archive.Close()
}

// Stats is what a hub holds at a moment.
type Stats struct {
	Channels      int   // idle ones too
	Bytes         int64 // of all histories and idempotency keys, about
	Subscriptions int   // to all channels
}

// Stats says what the hub holds.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{Channels: len(h.channels), Bytes: h.bytes.Load(), Subscriptions: int(h.subscriptions.Load())}
}

// acquire finds, loads or makes a channel and keeps it from vanishing until it is released.
func (h *Hub) acquire(name string) (*channel, error) {
	c, l, first, err := h.find(name)
	if err != nil || l == nil {
		return c, err
	}
	if first {
		h.load(c, l)
	}
	<-l.ended
	if l.err != nil {
		h.release(c)
		return nil, l.err
	}
	h.reclaim(c)
	return c, nil
}

// find finds or makes a channel. Where l is not nil it is to be loaded, by the caller if it is the first.
func (h *Hub) find(name string) (c *channel, l *loading, first bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, false, ErrClosed
	}
	c = h.channels[name]
	switch {
	case c == nil:
		if len(h.channels) >= h.rules.Load().bounds.MaxChannels && !h.evictOldest() {
			return nil, nil, false, ErrTooManyChannels
		}
		// The name may be a part of something longer, a whole request for instance.
		c = &channel{hub: h, name: strings.Clone(name), epoch: newEpoch()}
		settings := h.rules.Load().of(name)
		c.settings.Store(settings)
		switch {
		case h.options.Broker != nil:
			c.shared, first = new(shared), true
			c.loading = &loading{ended: make(chan struct{})}
		case h.options.Store != nil:
			c.saving = new(saving)
			if c.unsaved = !settings.stored(); !c.unsaved {
				c.loading = &loading{ended: make(chan struct{})}
				first = true
			}
		}
		h.channels[c.name] = c
		c.enter()
		h.sweepLater()
	case c.users == 0:
		c.list.remove(c)
	}
	c.users++
	return c, c.loading, first, nil
}

// acquireLive is acquire for a channel that exists; nil where it does not.
func (h *Hub) acquireLive(name string) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[name]
	if c == nil || c.loading != nil {
		return nil
	}
	if c.users == 0 {
		c.list.remove(c)
	}
	c.users++
	return c
}

// guest calls f with c.mu held, unless the channel has vanished: its feed and its peers are users meanwhile, but do not keep it from
// being idle.
func (c *channel) guest(f func()) {
	now := c.hub.visit(c.name)
	if now == nil {
		return
	}
	defer c.hub.part(now)
	if now != c {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// visit is acquireLive for guests; the channel may be loading.
func (h *Hub) visit(name string) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[name]
	if c == nil {
		return nil
	}
	if c.users == 0 {
		c.list.remove(c)
	}
	c.users++
	c.guests++
	return c
}

// part ends a visit.
func (h *Hub) part(c *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.users--
	c.guests--
	h.rest(c)
}

// visitLoaded is visit for a channel that has been loaded.
func (h *Hub) visitLoaded(name string) *channel {
	c := h.visit(name)
	if c == nil {
		return nil
	}
	h.mu.Lock()
	loaded := c.loading == nil
	h.mu.Unlock()
	if !loaded {
		h.part(c)
		return nil
	}
	return c
}

func (h *Hub) release(c *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.users--
	if c.users == c.guests {
		c.idleSince = time.Now()
	}
	h.rest(c)
}

// rest has a channel without users be among the idle ones. The caller holds h.mu.
func (h *Hub) rest(c *channel) {
	if c.users > 0 || c.loading != nil { // or it could not be loaded, and is nobody's
		return
	}
	// Its last user is gone, so that its offset stands still.
	if c.offset == 0 {
		h.blank.push(c)
	} else {
		h.idle.push(c)
	}
}
