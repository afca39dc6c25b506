package channel

import "time"

// Publish puts m into the channel called name, and returns it as published: with its offset, epoch, time and id.
// Subscribers have been handed the message when Publish returns, and the store, if the hub has one, has saved it. With a broker
// that holds for the subscribers of this hub; should the broker have taken the message, and not have handed over what others
// published before it within 5 seconds, Publish does not wait for that.
//
// Where the channel had a message with the same Key it is that one's position, time and id that are returned, and nothing
// is published.
//
// The hub keeps m.Data: it must not be changed any more. Where a Subscriber panics the message is published
// nevertheless. The error is [ErrInvalid], [ErrTooLarge], [ErrTooManyChannels], [ErrStore] or [ErrClosed];
// one that is [ErrUncertain], too, says that the message may be published all the same.
func (h *Hub) Publish(name string, m Message) (*Message, error) {
	if h.options.Broker != nil {
		var r Result
		s := h.share(name, &m)
		h.waitOne(&s, &r)
		return r.Message, r.Err
	}
	c, err := h.acquireToPublish(name, &m)
	if err != nil {
		return nil, err
	}
	defer h.release(c)
	defer h.reclaim(c)
	s := c.submit(&m)
	published, _, err := s.wait()
	return published, err
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
// and others not. It waits for the store once.
func (h *Hub) PublishAll(items []Item) []Result {
	results := make([]Result, len(items))
	submissions := make([]submission, 0, len(items))
	func() {
		defer func() { h.waitAll(submissions, results) }() // also where a Subscriber panics
		for i := range items {
			submissions = append(submissions, h.submit(&items[i]))
		}
	}()
	return results
}

// submit hands an item over. Whoever calls it ends the submission.
func (h *Hub) submit(item *Item) (s submission) {
	if h.options.Broker != nil {
		return h.share(item.Channel, &item.Message)
	}
	c, err := h.acquireToPublish(item.Channel, &item.Message)
	if err != nil {
		return submission{err: err}
	}
	defer func() {
		if s.channel == nil { // a Subscriber's panic
			h.release(c)
		}
	}()
	return c.submit(&item.Message)
}

func (h *Hub) waitAll(submissions []submission, results []Result) {
	i := 0
	defer func() {
		if i < len(submissions) { // a Subscriber's panic
			h.waitAll(submissions[i+1:], results[i+1:])
		}
	}()
	for ; i < len(submissions); i++ {
		h.waitOne(&submissions[i], &results[i])
	}
}

func (h *Hub) waitOne(s *submission, r *Result) {
	switch {
	case s.channel == nil:
	case s.appended != nil:
		defer h.part(s.channel)
		defer h.reclaim(s.channel)
	default:
		defer h.release(s.channel)
		defer h.reclaim(s.channel)
	}
	r.Message, r.Duplicate, r.Err = s.wait()
}

// acquireToPublish is acquire for those who have a message: what is wrong with it makes no channel.
func (h *Hub) acquireToPublish(name string, m *Message) (*channel, error) {
	if err := h.check(name, m); err != nil {
		return nil, err
	}
	return h.acquire(name)
}

// check says whether m may be published in the channel called name.
func (h *Hub) check(name string, m *Message) error {
	if err := ValidateName(name); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	return h.checkSize(name, len(m.Data))
}

// submission is a message that was handed to a channel.
type submission struct {
	channel   *channel
	message   *Message // as published; nil while it is pending
	pending   *pending
	appended  *appended // by the broker; channel may be nil then
	duplicate bool      // message, or pending, is an earlier one with its key
	err       error
}

// wait waits until the message is published, and says whether it was before.
func (s *submission) wait() (m *Message, duplicate bool, err error) {
	switch {
	case s.pending != nil:
		m, err = s.channel.settle(s.pending)
	case s.appended != nil:
		m, err = s.appended.settle(s.channel)
		return m, s.appended.Duplicate, err
	default:
		m, err = s.message, s.err
	}
	return m, s.duplicate, err
}

// submit publishes m, or hands it to the store, or finds that its key is that of an earlier message.
func (c *channel) submit(m *Message) submission {
	p := newMessage(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if p.Key != "" {
		if first := c.keys.find(p.Key, now); first != nil {
			return c.repeated(p, first)
		}
	}
	if c.hub.options.Store != nil {
		if pending := c.save(p, now); pending != nil {
			return submission{channel: c, pending: pending}
		}
	}
	c.stamp(p, c.offset+1, now)
	c.remember(p, nil)
	c.show(p)
	return submission{channel: c, message: p}
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
func (c *channel) repeated(m *Message, first *keyed) submission {
	s := submission{channel: c, message: m, duplicate: true}
	if first.pending != nil {
		s.message, s.pending = nil, first.pending
		return s
	}
	if first.position.Epoch == c.epoch {
		if kept := c.history.find(first.position.Offset, c.offset); kept != nil {
			s.message = kept
			return s
		}
	}
	m.Offset, m.Epoch, m.Time, m.ID = first.position.Offset, first.position.Epoch, first.time, first.id
	m.sharing.end()
	return s
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
	c.wakeAll()
	defer m.sharing.end()
	if c.members != nil {
		defer c.subscribers.deliver(m) // even if somebody panics who is told before it
		c.tellLeft()
		return
	}
	c.subscribers.deliver(m)
}
