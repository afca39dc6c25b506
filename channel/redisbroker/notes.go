package redisbroker

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what a broker has, and what happened to it since it was opened.
type Stats struct {
	Queued    int64 // bytes of messages that wait for Redis
	Followed  int   // channels
	Appended  uint64
	Failed    uint64 // messages whose Append failed, those below too
	Uncertain uint64 // messages of which nobody knows whether they were published
	Retried   uint64 // batches that Redis did not take at first
	Heard     uint64 // messages that Pub/Sub brought, some of which were there already
	Filled    uint64 // messages that Pub/Sub did not bring, and were read
	Lost      uint64 // times that a feed was told so
	Forks     uint64 // channels that began anew because Redis had forgotten what it had acknowledged
	Poisoned  uint64 // things in Redis, or from it, that no broker wrote; they were skipped
}

type counters struct {
	appended, failed, uncertain, retried, heard, filled, lost, forks, poisoned atomic.Uint64
}

// Stats says what the broker has.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	followed := len(b.followers)
	b.mu.Unlock()
	c := &b.counters
	return Stats{
		Queued: b.queued.Load(), Followed: followed, Appended: c.appended.Load(), Failed: c.failed.Load(), Uncertain: c.uncertain.Load(),
		Retried: c.retried.Load(), Heard: c.heard.Load(), Filled: c.filled.Load(), Lost: c.lost.Load(), Forks: c.forks.Load(), Poisoned: c.poisoned.Load(),
	}
}

// noteEvery is how often one kind of thing is logged.
const noteEvery = time.Minute

// notes tells the log of each kind of thing once in a while, and how often it happened.
type notes struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*noted
}

type noted struct {
	last  time.Time
	quiet int // how many were not told
}

// note tells of what happened; what is one of few constants.
func (n *notes) note(what string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.kinds[what]
	if e == nil {
		if n.kinds == nil {
			n.kinds = make(map[string]*noted)
		}
		e = &noted{}
		n.kinds[what] = e
	}
	if now := time.Now(); now.Sub(e.last) >= noteEvery {
		n.log.Warn("channel/redisbroker: "+what, "error", err, "before", e.quiet)
		*e = noted{last: now}
		return
	}
	e.quiet++
}

// poisoned notes that something was there that no broker wrote.
func (b *Broker) poisoned(name string, err error) {
	b.counters.poisoned.Add(1)
	b.notes.note("skipped what no broker wrote", fmt.Errorf("channel %q: %w", name, err))
}

// healed notes that a script removed keys of a foreign type.
func (b *Broker) healed(name string, foreign uint64) {
	for range min(foreign, 8) {
		b.poisoned(name, fmt.Errorf("%w: a key", errWire))
	}
}
