package channel

import "time"

// Publish puts m into the channel called name, and returns it as published: with its offset, epoch, time and id.
// Subscribers have been handed the message when Publish returns.
//
// Where the channel had a message with the same Key it is that one's position, time and id that are returned, and nothing
// is published.
//
// The hub keeps m.Data: it must not be changed any more. Where a Subscriber panics the message is published
// nevertheless. The error is [ErrInvalid], [ErrTooLarge], [ErrTooManyChannels] or [ErrClosed].
func (h *Hub) Publish(name string, m Message) (*Message, error) {
	c, err := h.acquireToPublish(name, &m)
	if err != nil {
		return nil, err
	}
	defer h.release(c)
	defer h.reclaim(c)
	published, _ := c.publish(&m)
	return published, nil
}

// An Item is one of many messages for [Hub.PublishAll].
type Item struct {
	Channel string
	Message Message
}

// A Result is what became of an [Item]: what [Hub.Publish] would return.
type Result struct {
	Message *Message
	// Duplicate says that the channel had a message with the same Key; Message has its position.
	Duplicate bool
	Err       error
}

// PublishAll publishes many messages, in the order of the items, and says of each what became of it: some may be published
// and others not.
func (h *Hub) PublishAll(items []Item) []Result {
	results := make([]Result, len(items))
	for i := range items {
		results[i] = h.publishItem(&items[i])
	}
	return results
}

func (h *Hub) publishItem(item *Item) (r Result) {
	c, err := h.acquireToPublish(item.Channel, &item.Message)
	if err != nil {
		return Result{Err: err}
	}
	defer h.release(c)
	defer h.reclaim(c)
	r.Message, r.Duplicate = c.publish(&item.Message)
	return r
}

// acquireToPublish is acquire for those who have a message: what is wrong with it makes no channel.
func (h *Hub) acquireToPublish(name string, m *Message) (*channel, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	if err := h.checkSize(name, len(m.Data)); err != nil {
		return nil, err
	}
	return h.acquire(name)
}

// publish publishes m, or says that its key is that of an earlier message, whose position it returns.
func (c *channel) publish(m *Message) (published *Message, duplicate bool) {
	p := newMessage(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if p.Key != "" {
		if first := c.keys.find(p.Key, now); first != nil {
			return c.repeated(p, first), true
		}
	}
	c.tellLeft()
	c.stamp(p, c.offset+1, now)
	c.show(p)
	return p, false
}

// newMessage copies what a publisher chose. It is one allocation, since every message has a sharing.
func newMessage(m *Message) *Message {
	p := &struct {
		Message
		own sharing
	}{Message: *m}
	p.sharing = &p.own
	return &p.Message
}

// repeated makes of m, which has the key of an earlier message, that one, whether or not it is still kept.
func (c *channel) repeated(m *Message, first *keyed) *Message {
	if kept := c.history.find(first.offset, c.offset); kept != nil {
		return kept
	}
	m.Offset, m.Epoch, m.Time, m.ID = first.offset, c.epoch, first.time, first.id
	m.sharing.end()
	return m
}

// stamp gives a message its place in the channel.
func (c *channel) stamp(m *Message, offset uint64, now time.Time) {
	m.Offset, m.Epoch, m.Time = offset, c.epoch, now
	if m.ID == "" {
		m.ID = m.Position().String()
	}
	if m.Sender != "" && c.settings.Load().NoEcho {
		m.Exclude = true
	}
}

// show makes m the newest message of the channel, for everybody. The caller holds c.mu.
func (c *channel) show(m *Message) {
	c.offset = m.Offset
	c.keep(m)
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
	defer m.sharing.end()
	c.subscribers.deliver(m)
}
