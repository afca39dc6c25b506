package channel

import "time"

// idleList is the channels without users, linked through the channels themselves; the newest first.
type idleList struct {
	newest, oldest *channel
}

func (l *idleList) push(c *channel) {
	c.list, c.older, c.newer = l, l.newest, nil
	if l.newest != nil {
		l.newest.newer = c
	} else {
		l.oldest = c
	}
	l.newest = c
}

func (l *idleList) remove(c *channel) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		l.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		l.oldest = c.newer
	}
	c.list, c.older, c.newer = nil, nil, nil
}

// evict makes an idle channel vanish. The caller holds h.mu.
func (h *Hub) evict(c *channel) {
	c.list.remove(c)
	delete(h.channels, c.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	h.bytes.Add(-c.bytes())
	c.history, c.keys = history{}, nil
	c.gone = true
	c.unpeer()
	if c.shared != nil {
		h.unfollow(c.name)
	}
}

// evictOldest makes the channel vanish that was idle for longest, and says whether there was one. The caller holds h.mu.
func (h *Hub) evictOldest() bool {
	c := h.blank.oldest
	if c == nil {
		c = h.idle.oldest
	}
	if c == nil {
		return false
	}
	h.evict(c)
	return true
}

// reclaim brings the bytes of all histories back to their bound, after c was published to.
func (h *Hub) reclaim(c *channel) {
	if h.bytes.Load() <= h.rules.Load().bounds.MaxBytes {
		return
	}
	h.mu.Lock()
	for h.idle.oldest != nil && h.bytes.Load() > h.rules.Load().bounds.MaxBytes {
		h.evict(h.idle.oldest)
	}
	h.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	for h.bytes.Load() > h.rules.Load().bounds.MaxBytes && c.bytes() > 0 {
		before := c.bytes()
		if c.history.count > 0 {
			c.history.dropOldest()
		} else {
			c.keys.dropOldest()
		}
		h.bytes.Add(c.bytes() - before)
	}
}

// sweepLater has what is past its age dropped in a while. The caller holds h.mu.
func (h *Hub) sweepLater() {
	if h.sweeper != nil || h.closed {
		return
	}
	most := 30 * time.Second
	if h.options.Broker != nil {
		most = unfollowAfter / 4
	}
	h.sweeper = time.AfterFunc(min(max(h.rules.Load().leastAge/4, 10*time.Millisecond), most), h.sweep)
}

// sweep drops the messages past their age, and the channels that were idle for as long.
func (h *Hub) sweep() {
	now, stamp := time.Now(), h.now()
	for _, c := range h.all() {
		c.mu.Lock()
		c.trim(stamp)
		c.mu.Unlock()
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range []*idleList{&h.blank, &h.idle} {
		for c := l.oldest; c != nil; {
			newer := c.newer
			if c.forgotten(now) {
				h.evict(c)
			}
			c = newer
		}
	}
	h.sweeper = nil
	if len(h.channels) > 0 {
		h.sweepLater()
	}
}

// now is the time that messages are stamped with.
func (h *Hub) now() time.Time {
	if b := h.options.Broker; b != nil {
		return b.Now()
	}
	return time.Now()
}

// forgotten says whether an idle channel was idle for as long as it is remembered. The hub's mu is held.
func (c *channel) forgotten(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shared != nil {
		return now.Sub(c.idleSince) >= unfollowAfter
	}
	s := c.settings.Load()
	age, last := s.HistoryAge, s.KeepLast && c.history.count > 0
	if c.stored() { // and comes back when it is asked for
		age, last = min(age, c.hub.rules.Load().bounds.HistoryAge), false
	}
	return now.Sub(c.idleSince) >= age && c.keys == nil && !last
}

func (h *Hub) all() []*channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*channel, 0, len(h.channels))
	for _, c := range h.channels {
		all = append(all, c)
	}
	return all
}
