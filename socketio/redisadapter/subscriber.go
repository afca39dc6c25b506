package redisadapter

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkInterval is after what time of silence Redis is asked whether it is there; after another one the connection is made anew.
const checkInterval = 5 * time.Second

var (
	errStarting = errors.New("not connected yet")
	errSilent   = errors.New("it does not answer")
)

// topic is a channel or a pattern.
type topic struct {
	name    string
	pattern bool
}

// subscriber receives, over one connection, and makes it again when it breaks.
type subscriber struct {
	client     redis.UniversalClient
	take       func(*redis.Message)
	state      state
	reconnects atomic.Uint64
	heard      atomic.Uint64 // whatever came
	ctx        context.Context
	stop       context.CancelFunc
	changed    chan struct{}
	started    sync.Once
	done       sync.WaitGroup

	mu        sync.Mutex
	wanted    map[topic]struct{}
	confirmed map[string]struct{} // channels that Redis has said it has subscribed us to

	applying sync.Mutex // held over the network
	current  *redis.PubSub
	applied  map[topic]struct{} // to current
}

// newSubscriber returns a subscriber that calls take with each message.
func newSubscriber(client redis.UniversalClient, n *notices, take func(*redis.Message)) *subscriber {
	s := &subscriber{
		client: client, take: take, state: state{notices: n, what: "nothing is received", wrong: errStarting}, changed: make(chan struct{}, 1),
		wanted: map[topic]struct{}{}, confirmed: map[string]struct{}{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// want subscribes to channels and patterns. With the first ones the subscriber begins.
func (s *subscriber) want(channels, patterns []string) {
	s.change(channels, patterns, func(t topic) { s.wanted[t] = struct{}{} })
	s.started.Do(func() {
		s.done.Go(s.receive)
		s.done.Go(s.maintain)
	})
}

func (s *subscriber) drop(channels, patterns []string) {
	s.change(channels, patterns, func(t topic) { delete(s.wanted, t) })
}

func (s *subscriber) change(channels, patterns []string, f func(topic)) {
	s.mu.Lock()
	for _, name := range channels {
		f(topic{name, false})
	}
	for _, name := range patterns {
		f(topic{name, true})
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// subscribed reports whether Redis counts us among the subscribers of a channel.
func (s *subscriber) subscribed(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.confirmed[channel]
	return ok
}

func (s *subscriber) err() error { return s.state.err() }

// apply has the current connection subscribed to what is wanted.
func (s *subscriber) apply() error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.current == nil {
		return nil
	}
	s.mu.Lock()
	wanted := maps.Clone(s.wanted)
	s.mu.Unlock()
	var names [2][2][]string // to be added or removed; channels or patterns
	for t := range wanted {
		if _, ok := s.applied[t]; !ok {
			names[0][index(t.pattern)] = append(names[0][index(t.pattern)], t.name)
		}
	}
	for t := range s.applied {
		if _, ok := wanted[t]; !ok {
			names[1][index(t.pattern)] = append(names[1][index(t.pattern)], t.name)
		}
	}
	s.applied = wanted
	for _, step := range []struct {
		names []string
		f     func(context.Context, ...string) error
	}{ // channels first: they have a Redis Cluster choose a master to connect to
		{names[0][0], s.current.Subscribe}, {names[0][1], s.current.PSubscribe},
		{names[1][0], s.current.Unsubscribe}, {names[1][1], s.current.PUnsubscribe},
	} {
		if len(step.names) > 0 {
			if err := step.f(s.ctx, step.names...); err != nil {
				return err
			}
		}
	}
	return nil
}

func index(pattern bool) int {
	if pattern {
		return 1
	}
	return 0
}

func (s *subscriber) receive() {
	for pause := 20 * time.Millisecond; s.ctx.Err() == nil; pause = min(2*pause, time.Second) {
		started := s.heard.Load()
		err := s.session()
		if s.ctx.Err() != nil {
			return
		}
		s.state.set(err)
		if s.heard.Load() != started {
			pause = 20 * time.Millisecond
			s.reconnects.Add(1)
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
	}
}

// session receives over one connection until it breaks.
func (s *subscriber) session() error {
	connection := s.client.Subscribe(s.ctx)
	s.connect(connection)
	defer s.connect(nil)
	if err := s.apply(); err != nil {
		return err
	}
	for {
		// Without a deadline, which might cut a message in two; maintain sees to it that it returns.
		came, err := connection.ReceiveTimeout(s.ctx, 0)
		if err != nil {
			return err
		}
		s.heard.Add(1)
		switch came := came.(type) {
		case *redis.Message:
			s.take(came)
		case *redis.Subscription:
			s.confirm(came)
		}
	}
}

// connect makes a connection the current one, nil: none, and closes the one before.
func (s *subscriber) connect(c *redis.PubSub) {
	s.applying.Lock()
	before := s.current
	s.current, s.applied = c, nil
	s.applying.Unlock()
	s.mu.Lock()
	clear(s.confirmed)
	s.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
}

func (s *subscriber) confirm(c *redis.Subscription) {
	s.mu.Lock()
	switch c.Kind {
	case "subscribe":
		s.confirmed[c.Channel] = struct{}{}
	case "unsubscribe":
		delete(s.confirmed, c.Channel)
	}
	complete := true
	for t := range s.wanted {
		if _, ok := s.confirmed[t.name]; !ok && !t.pattern {
			complete = false
		}
	}
	s.mu.Unlock()
	if complete {
		s.state.set(nil)
	}
}

// maintain subscribes to what has come to be wanted, and looks after the connection.
func (s *subscriber) maintain() {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	var heard uint64
	asked := false
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.changed:
			if s.apply() != nil {
				s.breakOff()
			}
			continue
		case <-tick.C:
		}
		now := s.heard.Load()
		switch {
		case now != heard:
			heard, asked = now, false
		case !asked:
			asked = s.ask()
		default:
			asked = false
			s.state.set(errSilent)
			s.breakOff()
		}
	}
}

// ask has Redis say something, and reports whether there is a connection.
func (s *subscriber) ask() bool {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.current == nil {
		return false
	}
	_ = s.current.Ping(s.ctx)
	return true
}

// breakOff has receive make a new connection.
func (s *subscriber) breakOff() {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.current != nil {
		_ = s.current.Close()
	}
}

func (s *subscriber) close() {
	s.stop()
	s.breakOff()
	s.done.Wait()
}
