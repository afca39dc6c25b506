package channel

import "sync"

// subscribers is the set of a channel's subscriptions. It changes under the channel's mu, but for removals, which must be
// possible from within a delivery: those that come while one is under way wait for its end.
type subscribers struct {
	mu         sync.Mutex
	list       []*Subscription // stands still while delivering
	watchers   int             // those that want to be told who comes and goes
	delivering bool
	removed    []*Subscription
}

// deliver hands m to everybody it is for. The caller holds the channel's mu, so that there is one delivery at a time.
func (s *subscribers) deliver(m *Message) {
	s.begin()
	defer s.end()
	if m.Exclude {
		s.deliverToOthers(m)
		return
	}
	for _, sub := range s.list {
		if !sub.closed.Load() {
			sub.subscriber.Deliver(m)
		}
	}
}

func (s *subscribers) deliverToOthers(m *Message) {
	for _, sub := range s.list {
		if !sub.closed.Load() && !sub.excluded(m) {
			sub.subscriber.Deliver(m)
		}
	}
}

// tell has everybody who wants to know, but one, told of e. The caller holds the channel's mu.
func (s *subscribers) tell(e *PresenceEvent, except *Subscription) {
	if !s.watched() {
		return
	}
	s.begin()
	defer s.end()
	for _, sub := range s.list {
		if w, ok := sub.subscriber.(PresenceSubscriber); ok && sub != except && !sub.closed.Load() {
			w.DeliverPresence(e)
		}
	}
}

// lost has everybody who wants to know told that messages are missing. The caller holds the channel's mu.
func (s *subscribers) lost(e *NotRecoverableError) {
	s.begin()
	defer s.end()
	for _, sub := range s.list {
		if l, ok := sub.subscriber.(LostSubscriber); ok && !sub.closed.Load() && !l.Lost(e) {
			sub.Close()
		}
	}
}

func (s *subscribers) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watchers > 0
}

func (s *subscribers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list) - len(s.removed)
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
	sub.index = int32(len(s.list))
	s.list = append(s.list, sub)
	sub.channel.hub.subscriptions.Add(1)
	if _, ok := sub.subscriber.(PresenceSubscriber); ok {
		s.watchers++
	}
	if len(s.list) == 1 {
		sub.channel.occupied(true)
	}
}

// remove takes sub away, if it was added.
func (s *subscribers) remove(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub.index < 0 {
		return
	}
	sub.channel.hub.subscriptions.Add(-1)
	if _, ok := sub.subscriber.(PresenceSubscriber); ok {
		s.watchers--
	}
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
	sub.index = -1
	if last == 0 {
		s.list = nil
		sub.channel.occupied(false)
	}
}

// occupied calls the hook. The lock of the subscribers is held, so that its calls are in order.
func (c *channel) occupied(yes bool) {
	if f := c.hub.options.OnOccupied; f != nil {
		f(c.name, yes)
	}
}
