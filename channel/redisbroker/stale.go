package redisbroker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cluster/redislink"
)

// stale are the followed channels that are to be compared with the log: after a connection was lost, where something came that did
// not fit, and now and then all of them. A few workers ask for many at once, and look closer where something differs.
type stale struct {
	mu      sync.Mutex
	queue   []*follower
	workers int
}

const (
	staleWorkers = 4
	staleAtOnce  = 128
)

func (s *stale) add(b *Broker, f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.queued || f.ended.Load() || b.ctx.Err() != nil {
		return
	}
	f.queued = true
	s.queue = append(s.queue, f)
	if s.workers < min(staleWorkers, len(s.queue)) {
		s.workers++
		b.done.Go(func() { s.work(b) })
	}
}

// followed notes that f was just compared.
func (s *stale) followed(b *Broker, f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	f.due, f.touch = now.Add(rand.N(b.o.CheckEvery)), now.Add(b.o.Remember/4)
}

func (s *stale) take(b *Broker) []*follower {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), staleAtOnce)
	if n == 0 || b.ctx.Err() != nil {
		s.workers--
		return nil
	}
	some := append([]*follower(nil), s.queue[:n]...)
	clear(s.queue[:n])
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	for _, f := range some {
		f.queued = false
	}
	return some
}

func (s *stale) work(b *Broker) {
	pause := firstPause
	for some := s.take(b); some != nil; some = s.take(b) {
		left, err := b.compare(some)
		if err == nil {
			pause = firstPause
			continue
		}
		b.notes.note("followed channels could not be compared with Redis", err)
		redislink.Reload(b.client)
		for _, f := range left {
			s.add(b, f)
		}
		select {
		case <-time.After(pause):
		case <-b.ctx.Done():
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// compare looks whether channels stand where their feeds are, and has the feeds catch up. It returns those for which that failed.
func (b *Broker) compare(some []*follower) (left []*follower, err error) {
	from := time.Now()
	defer func() { b.observe("check", len(some), from, err) }()
	ctx, cancel := b.timeout()
	defer cancel()
	for i, meta := range b.metas(ctx, some) {
		f := some[i]
		text, problem := meta.Result()
		if meta, ok := parseMeta(text); problem == nil && ok && meta == f.at() && !b.stale.toTouch(b, f) {
			continue
		}
		if problem == nil || redis.HasErrorPrefix(problem, "WRONGTYPE") || redis.HasErrorPrefix(problem, "MOVED") || redis.HasErrorPrefix(problem, "ASK") {
			problem = f.catchUp() // which removes a key of a foreign type
		}
		if problem != nil { // others do not wait for a server that is away
			left, err = append(left, f), problem
			continue
		}
		b.stale.touched(b, f)
	}
	return left, err
}

// metas asks where channels stand, each server for itself: the pipelines of a cluster's client fail as a whole where one is away.
func (b *Broker) metas(ctx context.Context, some []*follower) []*redis.StringCmd {
	metas := make([]*redis.StringCmd, len(some))
	pipes := make(map[*redis.Client]redis.Pipeliner)
	for i, f := range some {
		key := b.keys(f.name)[0]
		master, err := redislink.Master(ctx, b.client, key)
		if err != nil {
			metas[i] = redis.NewStringResult("", err)
			continue
		}
		if pipes[master] == nil {
			pipes[master] = master.Pipeline()
		}
		metas[i] = pipes[master].GetRange(ctx, key, 0, metaBytes)
	}
	var asked sync.WaitGroup
	for _, pipe := range pipes {
		asked.Go(func() { _, _ = pipe.Exec(ctx) }) // each command has its error
	}
	asked.Wait()
	return metas
}

func (s *stale) toTouch(b *Broker, f *follower) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.due = time.Now().Add(b.o.CheckEvery/2 + rand.N(b.o.CheckEvery/2))
	return time.Now().After(f.touch)
}

func (s *stale) touched(b *Broker, f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.touch = time.Now().Add(b.o.Remember / 4)
}

// forgetAfter is how long what is known of a channel is kept that nothing is published in.
const forgetAfter = 10 * time.Minute

// audit has every followed channel compared now and then, and forgets the channels that nobody publishes in.
func (b *Broker) audit() {
	tick := time.NewTicker(max(min(b.o.CheckEvery/8, time.Second), time.Millisecond))
	defer tick.Stop()
	forgotten := time.Now()
	for {
		select {
		case <-b.ctx.Done():
			return
		case now := <-tick.C:
			for _, f := range b.due(now) {
				b.stale.add(b, f)
			}
			if now.Sub(forgotten) > forgetAfter/10 {
				forgotten = now
				b.forget(now)
			}
		}
	}
}

func (b *Broker) due(now time.Time) (due []*follower) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stale.mu.Lock()
	defer b.stale.mu.Unlock()
	for _, f := range b.followers {
		if !f.due.IsZero() && now.After(f.due) && !f.queued {
			due = append(due, f)
		}
	}
	return due
}

func (b *Broker) forget(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, a := range b.logs {
		if !a.busy && now.Sub(a.used) > forgetAfter {
			delete(b.logs, name)
		}
	}
	for c, l := range b.lanes {
		if l.idle() && l.failing() == nil {
			delete(b.lanes, c)
		}
	}
}

// idle says that nothing is wanted of a lane.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.workers == 0
}
