package clients

import (
	"context"
	"errors"
	"sync"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

// catchUpBytes is about how much of what a client missed is handed over at a time.
const catchUpBytes = 64 << 10

// A Start is where a subscription begins: after this position.
type Start struct {
	channel.Position
	Presence bool // the client is told who joins and leaves
}

// SubscribeOptions say what a client wants.
type SubscribeOptions struct {
	From     channel.From
	Newcomer bool // From was not given: it begins as the channel's settings say
	// Presence asks to be told who is there, who joins and who leaves.
	Presence bool
}

// A SubscriptionEvent is what the backend is told of a client that subscribed or unsubscribed.
type SubscriptionEvent struct {
	Client  string `json:"client"`
	User    string `json:"user,omitempty"`
	Channel string `json:"channel"`
}

// subscription is a client's place in a channel. What it is handed goes to the client's link.
type subscription struct {
	client *Client
	many   Multiplexer // its link
	name   string
	by     granter
	watch  bool // it is told who joins and leaves

	mu     sync.Mutex
	place  *channel.Subscription // nil: it is catching up, or over
	begun  bool                  // the client and the backend were told
	closed bool
}

// granter is who says that there is a subscription.
type granter byte

const (
	byClient  granter = iota // which must be permitted to
	byToken                  // as long as the token is the client's
	byBackend                // whatever the client may
)

// Deliver implements [channel.Subscriber].
func (s *subscription) Deliver(m *channel.Message) { s.many.Message(s.name, m) }

// Lost implements [channel.LostSubscriber]: the client subscribes anew, if it wants to.
func (s *subscription) Lost(e *channel.NotRecoverableError) bool {
	go s.client.lose(s, e) // what its connection has locked may be waiting for the channel
	return false
}

// watching is a subscription that is told who joins and leaves.
type watching struct{ *subscription }

// DeliverPresence implements [channel.PresenceSubscriber].
func (s watching) DeliverPresence(e *channel.PresenceEvent) { s.many.Presence(e) }

// end says whether the subscription had begun.
func (s *subscription) end() (begun bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.place != nil {
		s.place.Close()
		s.place = nil
	}
	return s.begun
}

// Subscribe has the client get what is published in a channel, and first what it missed. begun is called when it is decided that
// and where it begins, before the first message is handed over; it must not block. What was missed is handed over as the client
// takes it, for all its channels in turn; should a channel be faster, the client is told by [Multiplexer.Unsubscribed]. Who
// asks for what was there before it came, by [channel.Oldest], must be permitted to read the history; to go on from a position
// takes no more than to subscribe. The error is one that [ErrorOf] knows.
func (c *Client) Subscribe(name string, o SubscribeOptions, begun func(Start)) error {
	return c.enter(name, o, byClient, begun)
}

// permits says whether the client may subscribe as it asks for.
func (c *Client) permits(name string, o SubscribeOptions) error {
	if err := c.May(auth.Subscribe, name); err != nil {
		return err
	}
	if o.Presence {
		if err := c.May(auth.Presence, name); err != nil {
			return err
		}
	}
	if o.From.History() {
		return c.May(auth.History, name)
	}
	return nil
}

func (c *Client) enter(name string, o SubscribeOptions, by granter, begun func(Start)) error {
	s := &subscription{client: c, many: c.many(), name: name, by: by, watch: o.Presence}
	if err := c.reserve(s); err != nil {
		return err
	}
	batch, err := s.read(o)
	start := Start{Position: batch.Next, Presence: o.Presence}
	if err == nil {
		start.Offset -= uint64(len(batch.Messages))
		err = s.begin(start, begun)
	}
	if err != nil {
		c.release(s)
		return err
	}
	s.first(start, batch)
	return nil
}

// begin tells that the subscription begins, unless it was ended already. s.mu is held meanwhile, so that neither the client nor the
// backend is told of the end first.
func (s *subscription) begin(start Start, begun func(Start)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrForbidden.With("the subscription was ended before it began")
	}
	s.begun = true
	begun(start)
	s.client.notify(TypeSubscribed, s.name)
	return nil
}

// first hands the first part of what was missed over, if there is room for it; if not, or if there is more, the rest follows.
func (s *subscription) first(start Start, batch channel.Batch) {
	c, more, next := s.client, true, start.Position
	now := len(batch.Messages) == 0
	if !now && s.many.HasRoom() {
		turn := c.turn()
		if now = turn.TryLock(); now {
			defer turn.Unlock()
		}
	}
	if now {
		var err error
		if more, err = s.follow(batch, start.Presence); err != nil {
			c.lose(s, err)
			return
		}
		next = batch.Next
	}
	if !more {
		return
	}
	life, err := c.catchingUp()
	if err != nil {
		c.lose(s, err)
		return
	}
	go func() {
		defer c.caughtUp()
		s.catchUp(life, next, start.Presence)
	}()
}

// read reads the first part of what the client missed, if it may subscribe. It is asked for after reserve, so that a token that is
// refreshed meanwhile either is the one asked here, or finds the subscription.
func (s *subscription) read(o SubscribeOptions) (channel.Batch, error) {
	if s.by == byClient {
		if err := s.client.permits(s.name, o); err != nil {
			return channel.Batch{}, err
		}
	}
	hub := s.client.registry.config.Hub
	if o.Newcomer {
		settings := hub.SettingsOf(s.name)
		o.From = settings.Newcomer()
	}
	return hub.Read(s.name, o.From, catchUpBytes)
}

// reserve makes s the client's subscription to its channel.
func (c *Client) reserve(s *subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone:
		return ErrClientGone
	case c.subscriptions[s.name] != nil:
		return ErrAlreadyIn
	case len(c.subscriptions) >= c.registry.bounds.Load().subscriptions:
		return ErrTooManyIn
	}
	if c.subscriptions == nil {
		c.subscriptions = make(map[string]*subscription)
	}
	c.subscriptions[s.name] = s
	return nil
}

// release undoes reserve, and says whether s was still there.
func (c *Client) release(s *subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subscriptions[s.name] != s {
		return false
	}
	delete(c.subscriptions, s.name)
	return true
}

// lose ends a subscription that has begun, and tells the client why.
func (c *Client) lose(s *subscription, err error) {
	s.end()
	if c.release(s) {
		c.notify(TypeUnsubscribed, s.name)
		c.many().Unsubscribed(s.name, ErrorOf(err))
	}
}

// notify tells the backend that a subscription has begun, or ended.
func (c *Client) notify(kind, name string) {
	c.registry.config.Notify(kind, SubscriptionEvent{c.id, c.Identity().User, name})
}

// done is the life of a client that has left.
var done = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// catchingUp is until when one more of the client's subscriptions may catch up. There are no more of them than subscriptions, those
// among them that were ended and wait for their turn to notice.
func (c *Client) catchingUp() (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return done, nil
	}
	m := c.rest()
	if m.behind >= c.registry.config.MaxSubscriptions {
		return nil, ErrBusy.With("too many subscriptions catch up")
	}
	m.behind++
	if m.life == nil {
		m.life, m.ended = context.WithCancel(context.Background())
	}
	return m.life, nil
}

// caughtUp is the end of one.
func (c *Client) caughtUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.more != nil {
		c.more.behind--
	}
}

// follow hands a batch over, and joins the channel if nothing is behind it.
func (s *subscription) follow(batch channel.Batch, presence bool) (more bool, err error) {
	member := s.client.Member()
	for _, m := range batch.Messages {
		if !m.HiddenFrom(member.Client) {
			s.many.Message(s.name, m)
		}
	}
	if batch.More {
		return true, nil
	}
	var subscriber channel.Subscriber = s
	if presence {
		subscriber = watching{s}
	}
	// Not with s.mu held: joining calls what s is told.
	place, err := s.client.registry.config.Hub.Join(s.name, channel.After(batch.Next), subscriber, member)
	if errors.Is(err, channel.ErrNotRecoverable) {
		return true, nil // the next read says whether it is so
	}
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		place.Close()
		return false, nil
	}
	s.place = place
	s.mu.Unlock()
	if presence {
		place.Presence(maxPresent, func(p channel.Presence) { s.many.Present(s.name, p) })
	}
	return false, nil
}

// maxPresent is how many members a newcomer is told of at most.
const maxPresent = 1000

func (s *subscription) catchUp(ctx context.Context, next channel.Position, presence bool) {
	for more := true; more; {
		var err error
		if next, more, err = s.part(ctx, next, presence); err != nil {
			if ctx.Err() == nil {
				s.client.lose(s, err)
			}
			return
		}
	}
}

// part hands over a part of what was missed, when it is the subscription's turn and there is room.
func (s *subscription) part(ctx context.Context, next channel.Position, presence bool) (channel.Position, bool, error) {
	c := s.client
	turn := c.turn()
	turn.Lock()
	defer turn.Unlock()
	if err := s.many.Room(ctx); err != nil {
		return next, false, err // the connection has ended, or is about to
	}
	if s.ended() {
		return next, false, nil
	}
	batch, err := c.registry.config.Hub.Read(s.name, channel.After(next), catchUpBytes)
	if err != nil {
		return next, false, err
	}
	more, err := s.follow(batch, presence)
	return batch.Next, more, err
}

func (s *subscription) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Unsubscribe ends a subscription, and says whether there was one.
func (c *Client) Unsubscribe(name string) bool { return c.drop(name, nil) }

// drop ends a subscription, and says whether there was one. The client is told why, unless why is nil, or the subscription had yet
// to begin: then that says so.
func (c *Client) drop(name string, why *Error) bool {
	c.mu.Lock()
	s := c.subscriptions[name]
	delete(c.subscriptions, name)
	c.mu.Unlock()
	if s == nil {
		return false
	}
	if s.end() {
		c.notify(TypeUnsubscribed, name)
		if why != nil {
			c.many().Unsubscribed(name, why)
		}
	}
	return true
}

// force subscribes the client on the word of its token or of the backend, and tells it.
func (c *Client) force(name string, by granter) {
	settings := c.registry.config.Hub.SettingsOf(name)
	err := c.enter(name, SubscribeOptions{From: settings.Newcomer()}, by, func(s Start) { c.many().Subscribed(name, s) })
	if err != nil && !errors.Is(err, ErrAlreadyIn) {
		c.many().Unsubscribed(name, ErrorOf(err))
	}
}
