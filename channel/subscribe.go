package channel

import (
	"sync"
	"sync/atomic"
)

// A Subscriber is handed the messages of a channel.
//
// Deliver is called with one message after the other, in the order of the channel, by whoever publishes, while the
// channel waits: it must not block, and takes no longer than it needs to put the message into a queue. A transport
// whose queue is full drops its client rather than make others wait; the client comes back with its position and gets
// what it missed. Deliver may close its own subscription, but must not call the hub about the same channel. It may keep
// m, and must not change it.
type Subscriber interface {
	Deliver(m *Message)
}

// SubscriberFunc is a function as a [Subscriber].
type SubscriberFunc func(m *Message)

// Deliver calls f.
func (f SubscriberFunc) Deliver(m *Message) { f(m) }

// A Subscription is a subscriber's place in a channel. It keeps the channel from vanishing.
type Subscription struct {
	channel    *channel
	subscriber Subscriber
	start      Position
	index      int // its place in subscribers.list; -1 once removed
	closed     atomic.Bool
}

// Subscribe has s called with every message of the channel called name from a place on: first, before Subscribe returns,
// with those that are there already, then with each that is published, without a gap or a repetition between the two.
//
// The error is [ErrInvalid], [ErrTooManyChannels] or [ErrNotRecoverable]; s is not called then.
func (h *Hub) Subscribe(name string, from From, s Subscriber) (*Subscription, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	c, err := h.acquire(name)
	if err != nil {
		return nil, err
	}
	sub, err := c.subscribe(from, s)
	if err != nil {
		h.release(c)
		return nil, err
	}
	return sub, nil
}

func (c *channel) subscribe(from From, s Subscriber) (*Subscription, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	missed, err := c.locate(from)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{channel: c, subscriber: s, start: Position{c.epoch, c.offset - uint64(missed)}}
	for i := c.history.count - missed; i < c.history.count; i++ {
		s.Deliver(c.history.at(i))
	}
	c.subscribers.add(sub)
	return sub, nil
}

// Start is where the subscription began: the first message it was handed, or will be, is the one after it.
func (s *Subscription) Start() Position { return s.start }

// Close ends the subscription. It never waits: a delivery that is under way may still end after Close has returned, but
// none begins. It may be called at any time, by Deliver itself too, and more than once.
func (s *Subscription) Close() {
	if s.closed.Swap(true) {
		return
	}
	s.channel.subscribers.remove(s)
	s.channel.hub.release(s.channel)
}

// subscribers is the set of a channel's subscriptions. It changes under the channel's mu, but for removals, which must be
// possible from within a delivery: those that come while one is under way wait for its end.
type subscribers struct {
	mu         sync.Mutex
	list       []*Subscription // stands still while delivering
	delivering bool
	removed    []*Subscription
}

// deliver hands m to everybody. The caller holds the channel's mu, so that there is one delivery at a time.
func (s *subscribers) deliver(m *Message) {
	s.begin()
	defer s.end()
	for _, sub := range s.list {
		if !sub.closed.Load() {
			sub.subscriber.Deliver(m)
		}
	}
}

func (s *subscribers) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivering = true
}

func (s *subscribers) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delivering = false
	for _, sub := range s.removed {
		s.drop(sub)
	}
	s.removed = nil
}

func (s *subscribers) add(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.index = len(s.list)
	s.list = append(s.list, sub)
}

func (s *subscribers) remove(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivering {
		s.removed = append(s.removed, sub)
		return
	}
	s.drop(sub)
}

func (s *subscribers) drop(sub *Subscription) {
	last := len(s.list) - 1
	moved := s.list[last]
	s.list[sub.index], moved.index = moved, sub.index
	s.list[last] = nil
	s.list = s.list[:last]
	if last == 0 {
		s.list = nil
	}
}
