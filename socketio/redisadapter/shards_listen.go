package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// node is who has channels; addr is "" where there is but one.
type node struct {
	addr string
	open func(context.Context, ...string) *redis.PubSub
}

// node returns who has a channel.
func (s *shards) node(channel string) (node, error) {
	c := s.cluster()
	if c == nil {
		return node{"", s.client.Subscribe}, nil
	}
	master, err := c.MasterForKey(s.ctx, channel)
	if err != nil {
		return node{}, err
	}
	return node{master.Options().Addr, master.Subscribe}, nil
}

// listener returns the connection to a node.
func (s *shards) listener(n node) (*listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, errEnded
	}
	l := s.nodes[n.addr]
	if l == nil {
		l = &listener{addr: n.addr, pubsub: n.open(s.ctx), channels: map[string]bool{}}
		s.nodes[n.addr] = l
		s.running.Go(func() { s.listen(l) })
	}
	return l, nil
}

// listen hears what comes, until the connection breaks.
func (s *shards) listen(l *listener) {
	s.running.Go(func() { s.watch(l) })
	for {
		// Without a deadline, which might cut a message in two.
		got, err := l.pubsub.ReceiveTimeout(s.ctx, 0)
		if redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "TRYAGAIN") {
			s.astray(l)
			continue
		}
		if err != nil {
			s.lost(l, err)
			return
		}
		l.heard.Add(1)
		switch m := got.(type) {
		case *redis.Message:
			s.hearing.Lock()
			s.heard(m.Channel, m.Payload)
			s.hearing.Unlock()
		case *redis.Subscription:
			switch m.Kind {
			case "sunsubscribe":
				s.unsubscribed(l, m.Channel)
			case "subscribe", "ssubscribe":
				s.subscribed(l, m.Channel)
			}
		}
	}
}

var errSilence = errors.New("no answer of Redis")

// watch gives up a connection on which nothing is heard, not even an answer.
func (s *shards) watch(l *listener) {
	tick := time.NewTicker(listenQuiet)
	defer tick.Stop()
	var before uint64
	asked := false
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.mu.Lock()
		gone := s.nodes[l.addr] != l
		s.mu.Unlock()
		switch now := l.heard.Load(); {
		case gone:
			return
		case now != before:
			before, asked = now, false
		case asked || l.pubsub.Ping(s.ctx) != nil:
			s.lost(l, errSilence)
			return
		default:
			asked = true
		}
	}
}

func (s *shards) subscribed(l *listener, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[channel] == l {
		s.heardAt[channel] = true
		close(s.told)
		s.told = make(chan struct{})
	}
}

// await waits until channels are subscribed to.
func (s *shards) await(ctx context.Context, channels ...string) error {
	for {
		s.mu.Lock()
		missing := slices.ContainsFunc(channels, func(c string) bool { return !s.heardAt[c] })
		told, err := s.told, s.err
		s.mu.Unlock()
		switch {
		case !missing:
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", errAway, err)
		}
		select {
		case <-told:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return errEnded
		}
	}
}

// unsubscribed: the slot of a channel has moved to another node, unless this is the answer to a command.
func (s *shards) unsubscribed(l *listener, channel string) {
	s.mu.Lock()
	moved := s.at[channel] == l
	if moved {
		delete(s.at, channel)
		delete(s.heardAt, channel)
		delete(l.channels, channel)
		s.dirty[channel] = true
	}
	s.mu.Unlock()
	if moved {
		reload(s.client)
		s.notify()
	}
}

// strayed is how long it takes to learn where a slot has gone.
const strayed = 100 * time.Millisecond

// astray: a node that does not have the slot of a channel has refused it, and does not say which. What it has confirmed it has.
func (s *shards) astray(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range l.channels {
		if s.at[c] == l && !s.heardAt[c] {
			delete(s.at, c)
			delete(l.channels, c)
			s.dirty[c] = true
		}
	}
	reload(s.client)
	time.AfterFunc(strayed, s.notify)
}

// lost gives up a connection; what was heard on it is subscribed to anew.
func (s *shards) lost(l *listener, err error) {
	_ = l.pubsub.Close()
	s.mu.Lock()
	ended, known := s.ctx.Err() != nil, s.nodes[l.addr] == l
	if known && !ended {
		delete(s.nodes, l.addr)
	}
	for c := range l.channels { // some may have come to it since it was lost
		if s.at[c] == l {
			delete(s.at, c)
			delete(s.heardAt, c)
			s.dirty[c] = true
		}
	}
	clear(l.channels)
	s.mu.Unlock()
	if ended || !known {
		return
	}
	s.state(err)
	reload(s.client)
	s.notify()
}
