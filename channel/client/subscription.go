package client

import (
	"context"
	"sync"

	"baro.dev/channel"
)

// SubscribeOptions say where a subscription begins, and who is told of it.
type SubscribeOptions struct {
	// After is the position that the client has seen: "EPOCH:OFFSET", "oldest" for all that is kept, "now" or "" for what comes.
	After string
	// OnStart is called once, in its turn before the first message, with where the subscription begins. It is not called where After is
	// that place, as EPOCH:OFFSET, nor over polling if there are messages at once.
	OnStart func(channel.Position)
	// OnGap is called, in its turn among the messages, where what was missed cannot be had any more: messages up to next are lost,
	// and the subscription goes on behind it.
	OnGap func(last, next channel.Position)
	// OnEnd is called when the subscription ends though nobody has closed it: it was refused, or taken back.
	OnEnd func(error)
	// OnPresence is called with who is there, comes and goes. nil: the server is not asked. Over WebSocket only.
	OnPresence func(PresenceEvent)
}

// A Subscription is a channel that the client gets messages of.
type Subscription struct {
	client  *Client
	name    string
	options SubscribeOptions
	handle  func(*channel.Message)

	mu     sync.Mutex
	last   channel.Position // of the last message that waits for the handler, or went to it
	began  bool             // last is known
	live   *session         // that has answered subscribe
	err    error
	done   chan struct{}
	cancel context.CancelFunc // of its requests over HTTP
}

// Channel returns the name of the channel.
func (s *Subscription) Channel() string { return s.name }

// Done is closed when the subscription has ended.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err returns why the subscription has ended; nil while it has not.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Position returns where the subscription is: behind the last message that was handed to the handler or is about to be. It is zero
// before the server has said so.
func (s *Subscription) Position() channel.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Close ends the subscription. The handler may still be called with messages that wait.
func (s *Subscription) Close() { s.client.unsubscribe(s, ErrClosed, true) }

// after is where to go on.
func (s *Subscription) after() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began {
		return s.last.String()
	}
	return s.options.After
}

// begins is that the server has said where the subscription is.
func (s *Subscription) begins(p channel.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.began && p.Epoch != "" {
		s.start(p)
	}
}

// start is begins. The caller holds mu.
func (s *Subscription) start(p channel.Position) {
	s.last, s.began = p, true
	if tell := s.options.OnStart; tell != nil {
		s.client.inbox.push(0, func() { tell(p) })
	}
}

// answered is that a session has subscribed: what it sends from now on is for this subscription.
func (s *Subscription) answered(by *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = by
}

// of says whether what a session sends is for this subscription, and not for one before it that was closed.
func (s *Subscription) of(by *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live == by
}

// end ends it; false if it has ended before.
func (s *Subscription) end(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	s.err = err
	close(s.done)
	if s.cancel != nil {
		s.cancel()
	}
	return true
}

// take hands a message on; false if there is no room for it. One that was there before is left out.
func (s *Subscription) take(m *channel.Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.began && m.Epoch == s.last.Epoch && m.Offset <= s.last.Offset {
		return true
	}
	if !s.client.inbox.push(len(m.Data)+200, func() { s.handle(m) }) {
		return false
	}
	s.last, s.began = m.Position(), true
	return true
}

// lost goes on at p, and tells of the gap.
func (s *Subscription) lost(p channel.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, tell := s.last, s.options.OnGap
	if s.began && last == p {
		return true
	}
	if tell != nil && !s.client.inbox.push(1, func() { tell(last, p) }) {
		return false
	}
	s.last, s.began = p, true
	return true
}
