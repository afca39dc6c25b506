package channel

import "sync/atomic"

// A Subscriber is handed the messages of a channel.
//
// Deliver is called with one message after the other, in the order of the channel, by whoever publishes, or by a goroutine of
// the hub's broker, where a panic ends the program, while the channel waits: it must not block, and takes no longer than it needs to put the message into a queue. A transport
// whose queue is full drops its client rather than make others wait; the client comes back with its position and gets
// what it missed. Deliver may close its own subscription, but must not call the hub about the same channel. It may keep
// m, and must not change it.
type Subscriber interface {
	Deliver(m *Message)
}

// A LostSubscriber is a [Subscriber] that is told when the channel goes on behind a gap, with a [Broker] that has lost
// messages: Lost is called under the rules of Deliver, and the two in one order. It says whether the subscription goes on: what is
// delivered next is what follows e.Last then; else it is closed, and nothing is delivered any more. A subscriber of another kind
// misses the messages without a word, but for the positions.
type LostSubscriber interface {
	Subscriber
	Lost(e *NotRecoverableError) (goOn bool)
}

// SubscriberFunc is a function as a [Subscriber].
type SubscriberFunc func(m *Message)

// Deliver calls f.
func (f SubscriberFunc) Deliver(m *Message) { f(m) }

// A Subscription is a subscriber's place in a channel. It keeps the channel from vanishing. (It is one cache line long,
// which a delivery to many notices.)
type Subscription struct {
	channel    *channel
	subscriber Subscriber
	member     *member // who is counted by it; nil where nobody is
	start      Position
	index      int32 // its place in subscribers.list; -1 while it has none
	closed     atomic.Bool
}

// Subscribe has s called with every message of the channel called name from a place on: first, before Subscribe returns,
// with those that are there already, then with each that is published, without a gap or a repetition between the two.
//
// What is there may be as much as the store keeps. Who cannot take that at once catches up with [Hub.Read] in parts, and
// subscribes for the rest.
//
// The error is [ErrInvalid], [ErrTooManyChannels], [ErrNotRecoverable], [ErrStore] or [ErrClosed]; s is not called then,
// unless it happens half-way through what the store keeps.
func (h *Hub) Subscribe(name string, from From, s Subscriber) (*Subscription, error) {
	return h.subscribe(name, from, s, nil)
}

// subscribe is Subscribe, and Join where m is not nil.
func (h *Hub) subscribe(name string, from From, s Subscriber, m *Member) (*Subscription, error) {
	if err := ValidateName(name); err != nil {
		return nil, err
	}
	c, err := h.acquire(name)
	if err != nil {
		return nil, err
	}
	sub := &Subscription{channel: c, subscriber: s, index: -1}
	whole := false
	defer func() {
		if !whole { // an error, or a subscriber's panic
			sub.Close()
		}
	}()
	if err := sub.begin(from, m); err != nil {
		return nil, err
	}
	whole = true
	return sub, nil
}

// begin hands over what is there, and has the subscription be one of the channel's.
func (s *Subscription) begin(from From, m *Member) error {
	for {
		p, err := s.beginRecent(from, m)
		if err != nil || !p.older && !p.ahead {
			return err
		}
		if p.ahead {
			if err := s.channel.catchUp(&from); err != nil {
				return err
			}
			continue
		}
		// Nobody else calls the subscriber yet, so that no lock is needed.
		batch, err := s.channel.readOlder(from, p, readBytes)
		if err != nil {
			return err
		}
		if len(batch.Messages) == 0 {
			from.where = recent
			continue
		}
		s.startAt(batch.Messages[0].Epoch, batch.Messages[0].Offset-1)
		for _, older := range batch.Messages {
			s.handOver(older, m)
		}
		from = After(batch.Next)
	}
}

// beginRecent is begin with what is in memory, unless the place is older.
func (s *Subscription) beginRecent(from From, m *Member) (place, error) {
	c := s.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.locate(from)
	if err != nil || p.older || p.ahead {
		return p, err
	}
	s.startAt(c.epoch, c.offset-uint64(p.missed))
	for i := c.history.count - p.missed; i < c.history.count; i++ {
		s.handOver(c.history.at(i), m)
	}
	c.subscribers.add(s)
	if m != nil {
		c.join(s, *m)
	}
	return p, nil
}

func (s *Subscription) startAt(epoch string, offset uint64) {
	if s.start.Epoch == "" {
		s.start = Position{epoch, offset}
	}
}

// handOver delivers what is there already to a subscriber that is to be m, if that is not nil.
func (s *Subscription) handOver(kept *Message, m *Member) {
	if m == nil || !kept.HiddenFrom(m.Client) {
		s.subscriber.Deliver(kept)
	}
}

// excluded says whether m is hidden from the subscriber.
func (s *Subscription) excluded(m *Message) bool {
	return s.member != nil && m.HiddenFrom(s.member.Client)
}

// Start is where the subscription began: the first message it was handed, or will be, is the one after it.
func (s *Subscription) Start() Position { return s.start }

// Close ends the subscription. It never waits, and calls no subscriber: a delivery that is under way may still end after
// Close has returned, but none begins, and who wants to be told that a member left is told after Close has returned
// perhaps. It may be called at any time, by Deliver itself too, and more than once.
func (s *Subscription) Close() {
	if s.closed.Swap(true) {
		return
	}
	s.channel.subscribers.remove(s)
	if s.member != nil {
		s.channel.leave(s.member)
	}
	s.channel.hub.release(s.channel)
}
