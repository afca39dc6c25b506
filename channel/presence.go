package channel

import (
	"sync"
	"sync/atomic"
	"time"
)

// A PresenceSubscriber is a [Subscriber] that is told who joins the channel and who leaves, where [Settings.Presence]
// says so: DeliverPresence is called under the rules of Deliver, and the two in one order. It is not told of itself, nor
// of who was there before it, nor of what happens while a rule that was replaced keeps it from being told: see
// [Subscription.Presence].
//
// DeliverPresence may be called by a goroutine of the hub, or of its peers, so that its panic ends the program.
type PresenceSubscriber interface {
	Subscriber
	DeliverPresence(e *PresenceEvent)
}

// A PresenceEvent says that a connection joined a channel or left it. It is shared and must not be changed.
type PresenceEvent struct {
	Channel string
	Joined  bool // or left
	Member  Member
	// Users and Clients is how many there are now.
	Users, Clients int
	// First says that it is the user's first connection in the channel, Last that it was the last. Where the user is not
	// known they are false.
	First, Last bool

	sharing sharing
}

// SharedPresence is [Shared] for an event of presence.
func SharedPresence[T any](e *PresenceEvent, key any, encode func(*PresenceEvent) T) T {
	return share(&e.sharing, e, key, encode)
}

// Presence is who is in a channel at a moment.
type Presence struct {
	Members []Member // in no order
	Users   int      // users that are known, each counted once
	Clients int      // connections
	// Missing is the hubs that did not say in time who is there; those who are in none of the others are not among the above.
	Missing []string
}

// Join is [Hub.Subscribe] for a connection with an identity: it is in the channel until the subscription is closed, and
// gets no message that is hidden from it (see [Message.HiddenFrom]). A connection that is in the channel already is
// counted once, and remains as it came.
//
// Joining calls those in the channel that want to be told, as publishing does.
func (h *Hub) Join(name string, from From, s Subscriber, m Member) (*Subscription, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if m.Since.IsZero() {
		m.Since = time.Now()
	}
	return h.subscribe(name, from, s, &m)
}

// Presence says who is in the channel called name: up to limit members; 0 is no bound, and below it are none, but the
// counts. A channel that does not exist has nobody in it.
//
// Those who left a moment ago are not in the answer; where nobody was told yet it is done now, as by publishing. With
// [Options.Peers] it is who is there on all hubs: where the channel lives here and has presence that is known, else they are
// asked, for up to 5 seconds. Those who left 200 milliseconds ago may be in the answer then.
func (h *Hub) Presence(name string, limit int) (Presence, error) {
	if err := ValidateName(name); err != nil {
		return Presence{}, err
	}
	c := h.acquireLive(name)
	if c != nil {
		defer h.release(c)
		if c.whole() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.tellLeft()
			return c.presence(limit), nil
		}
	}
	if h.options.Peers == nil {
		return Presence{}, nil
	}
	return h.ask(name, limit), nil
}

// Presence calls f with who is in the channel (see [Hub.Presence]), in the order of the channel: all who joined or left
// before were told to the subscriber already, those after f are told after it. So f may put into the subscriber's queue
// what makes the events complete. It is called before Presence returns, under the rules of [Subscriber]. With [Options.Peers]
// other hubs are waited for, but not for long.
func (s *Subscription) Presence(limit int, f func(Presence)) {
	c := s.channel
	var there *Presence // as others say
	if !c.whole() {
		p := c.hub.ask(c.name, limit)
		there = &p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tellLeft()
	if there == nil {
		p := c.presence(limit)
		there = &p
	}
	f(*there)
}

func (c *channel) presence(limit int) Presence {
	var p Presence
	p.Users, p.Clients = c.members.count()
	if limit == 0 {
		limit = p.Clients
	}
	if limit = min(limit, p.Clients); limit <= 0 {
		return p
	}
	p.Members = make([]Member, 0, limit)
	for _, m := range c.members.byClient {
		p.Members = append(p.Members, m.Member)
		if len(p.Members) == limit {
			break
		}
	}
	return p
}

// join counts a subscription of m, and tells those who were there. The caller holds c.mu.
func (c *channel) join(sub *Subscription, m Member) {
	if c.members == nil {
		c.members = new(members)
	}
	added, joined, first := c.members.add(m)
	sub.member = added
	if c.peered != nil && added.subscriptions == 1 {
		c.hub.options.Peers.Joined(c.name, m)
	}
	if joined && c.settings.Load().Presence {
		c.tell(&PresenceEvent{Joined: true, Member: added.Member, First: first}, sub)
	}
}

// part counts a subscription of m no longer, and tells those who are there. The caller holds c.mu.
func (c *channel) part(m *member) {
	gone, last := c.members.remove(m)
	if c.peered != nil && m.subscriptions == 0 {
		c.hub.options.Peers.Left(c.name, m.Client)
	}
	if gone && c.settings.Load().Presence {
		c.tell(&PresenceEvent{Member: m.Member, Last: last}, nil)
	}
}

func (c *channel) tell(e *PresenceEvent, except *Subscription) {
	e.Channel = c.name
	e.Users, e.Clients = c.members.count()
	defer e.sharing.end()
	c.subscribers.tell(e, except)
}

// left is the members whose subscriptions have ended, while that is still to be told. A subscription that is closed tells
// nobody itself: it may be closed from within a delivery, or by somebody who holds the locks that a delivery needs.
type left struct {
	waiting atomic.Int32
	mu      sync.Mutex
	members []*member
	telling bool // a goroutine is on its way to tell
}

// leave has m leave the channel: at once where nobody is to be told, else as soon as the channel is free; with peers in a moment.
func (c *channel) leave(m *member) {
	if c.hub.options.Peers != nil && c.settings.Load().Presence {
		time.AfterFunc(peerLag, func() { c.leaveNow(m) })
		return
	}
	c.leaveNow(m)
}

func (c *channel) leaveNow(m *member) {
	if c.mu.TryLock() {
		quiet := !c.settings.Load().Presence || !c.subscribers.watched()
		if quiet {
			c.part(m)
		}
		c.mu.Unlock()
		if quiet {
			return
		}
	}
	l := &c.members.left
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = append(l.members, m)
	l.waiting.Add(1)
	if !l.telling {
		l.telling = true
		go c.tellAllLeft()
	}
}

// tellAllLeft is a goroutine that lives while there is somebody to tell of.
func (c *channel) tellAllLeft() {
	for more := true; more; {
		c.mu.Lock()
		c.tellLeft()
		c.mu.Unlock()

		more = c.members.left.more()
	}
}

// tellLeft has those leave who are waiting for it. The caller holds c.mu.
func (c *channel) tellLeft() {
	if c.members == nil {
		return
	}
	for c.members.left.waiting.Load() > 0 {
		c.part(c.members.left.next())
	}
}

// more says whether there is somebody to tell of; where there is nobody the goroutine ends.
func (l *left) more() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.telling = len(l.members) > 0
	return l.telling
}

func (l *left) next() *member {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[0]
	l.members[0] = nil
	if l.members = l.members[1:]; len(l.members) == 0 {
		l.members = nil
	}
	l.waiting.Add(-1)
	return m
}
