package redislink

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// routing is how long the router waits before it looks again at channels that are not where they should be.
const routing = 100 * time.Millisecond

// router finds the masters that have the slots of channels: of new ones at once, and of those that are not settled again and again.
func (s *Subscriber) router() {
	again := time.NewTimer(0)
	defer again.Stop()
	waiting := true // for again
	for {
		var some []*sub
		select {
		case <-s.ctx.Done():
			return
		case <-s.route:
			s.mu.Lock()
			some, s.fresh = s.fresh, nil
			s.mu.Unlock()
		case <-again.C:
			waiting = false
			some = s.astray()
		}
		unsettled := s.routeAll(some)
		if !waiting && (unsettled || len(s.astray()) > 0) {
			again.Reset(routing)
			waiting = true
		}
	}
}

// astray are the channels that are not settled. Those of links that were refused some are to be told of again.
func (s *Subscriber) astray() (astray []*sub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.subs {
		if e.handler != nil && !e.settled {
			e.sent = e.sent && !e.link.refused
			astray = append(astray, e)
		}
	}
	for _, l := range s.links {
		l.refused = false
	}
	return astray
}

// routeAll has channels on the links of their masters. It is true where that is not known of all.
func (s *Subscriber) routeAll(some []*sub) bool {
	for _, e := range some {
		ctx, cancel := context.WithTimeout(s.ctx, longestPause)
		client, err := Master(ctx, s.o.Client, e.name)
		cancel()
		if err != nil {
			Reload(s.o.Client)
			return true
		}
		s.move(e, client)
	}
	return false
}

func (s *Subscriber) move(e *sub, client *redis.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || e.handler == nil || e.settled || s.subs[e.name] != e {
		return
	}
	key := client.Options().Addr
	if old := e.link; old != nil {
		if old.key == key {
			if !e.sent && old.err == nil {
				s.mark(e)
			}
			return
		}
		delete(old.subs, e.name)
	}
	e.sent, e.dirty = false, false
	s.attach(e, key, client)
	s.mark(e)
}
