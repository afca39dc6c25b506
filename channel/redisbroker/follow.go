package redisbroker

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cluster/redislink"
)

// follower has a feed handed what is published in a channel. What comes by Pub/Sub and follows what the feed has is handed over at
// once; whatever does not fit only says that the log is to be asked: so nothing that anybody publishes there has a feed told
// that something is lost, or skip anything.
type follower struct {
	b      *Broker
	name   string
	feed   channel.Feed
	recent channel.Keep
	ready  chan struct{} // closed when Redis has confirmed the subscription
	once   sync.Once
	ended  atomic.Bool

	// Guarded by Broker.stale.mu.
	queued bool // it is to be compared with the log
	due    time.Time
	touch  time.Time // when the log is to be told that the channel is followed

	catching sync.Mutex // held while the log is asked; before mu

	mu      sync.Mutex // held while the feed is called
	began   bool       // Follow has the Saved
	skipped bool       // something came before that, or did not fit

	placing sync.Mutex
	place   place // what the feed has; changed with mu held, too
}

func (f *follower) at() place {
	f.placing.Lock()
	defer f.placing.Unlock()
	return f.place
}

func (f *follower) set(p place) {
	f.placing.Lock()
	defer f.placing.Unlock()
	f.place = p
}

func (b *Broker) follower(name string) *follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.followers[name]
}

// Follow implements [channel.Broker].
func (b *Broker) Follow(name string, recent channel.Keep, feed channel.Feed) (channel.Saved, error) {
	f := &follower{b: b, name: name, feed: feed, recent: recent, ready: make(chan struct{})}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return channel.Saved{}, ErrClosed
	}
	if old := b.followers[name]; old != nil {
		old.ended.Store(true)
	}
	b.followers[name] = f
	b.mu.Unlock()
	b.sub.Subscribe(b.pubsub+redislink.Tag(name), f)
	saved, err := f.begin()
	if err != nil {
		b.unfollow(f)
	}
	return saved, err
}

func (f *follower) begin() (channel.Saved, error) {
	timer := time.NewTimer(f.b.o.Timeout)
	defer timer.Stop()
	select {
	case <-f.ready:
	case <-timer.C:
		err := f.b.sub.Err()
		if err == nil {
			err = errors.New("no answer in time")
		}
		return channel.Saved{}, fmt.Errorf("%w: subscribing: %w", ErrAway, err)
	case <-f.b.ctx.Done():
		return channel.Saved{}, ErrClosed
	}
	saved, at, err := f.b.look(f.name, f.recent, place{}, true)
	if err != nil {
		return channel.Saved{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.began = true
	f.set(at)
	if f.skipped {
		f.b.stale.add(f.b, f)
	}
	f.b.stale.followed(f.b, f)
	return saved, nil
}

// Unfollow implements [channel.Broker].
func (b *Broker) Unfollow(name string) {
	if f := b.follower(name); f != nil {
		b.unfollow(f)
	}
}

func (b *Broker) unfollow(f *follower) {
	f.ended.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.followers[f.name] == f {
		delete(b.followers, f.name)
		b.sub.Unsubscribe(b.pubsub + redislink.Tag(f.name))
	}
}

// Ready implements redislink.Handler: what was published before may have been missed.
func (f *follower) Ready() {
	first := false
	f.once.Do(func() { close(f.ready); first = true })
	if !first {
		f.b.stale.add(f.b, f)
	}
}

// Message implements redislink.Handler.
func (f *follower) Message(payload []byte) {
	epoch, parts, err := parseBatch(payload)
	if err != nil {
		f.b.poisoned(f.name, err)
		if payload == nil { // too long for anybody to tell what it was
			f.b.stale.add(f.b, f)
		}
		return
	}
	f.b.counters.heard.Add(uint64(len(parts)))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended.Load() {
		return
	}
	at := f.at()
	if !f.began || string(epoch) != at.epoch {
		f.skip()
		return
	}
	entries := make([]entry, 0, len(parts))
	next := at.offset + 1
	for _, part := range parts {
		e, err := parseEntry(part, at.epoch)
		switch {
		case err != nil:
			f.b.poisoned(f.name, err)
			f.skip()
		case e.message.Offset < next:
			continue
		case e.message.Offset > next:
			f.skip()
		default:
			entries = append(entries, e)
			next++
			continue
		}
		break
	}
	f.hand(at, entries)
}

// skip notes that something was not handed over. mu is held.
func (f *follower) skip() {
	f.skipped = true
	if f.began {
		f.b.stale.add(f.b, f)
	}
}

// hand gives the feed what follows at, which is what it has. mu is held.
func (f *follower) hand(at place, entries []entry) {
	if len(entries) == 0 {
		return
	}
	messages := make([]*channel.Message, len(entries))
	for i, e := range entries {
		messages[i] = e.message
	}
	f.set(place{at.epoch, messages[len(messages)-1].Offset, entries[len(entries)-1].tag})
	f.feed.Messages(messages)
}

// catchUp has the feed told of all that the log has and it has not.
func (f *follower) catchUp() error {
	f.catching.Lock()
	defer f.catching.Unlock()
	saved, target, err := f.b.look(f.name, f.recent, f.at(), true)
	if err != nil {
		return err
	}
	for !f.ended.Load() {
		at := f.at()
		if at.epoch != target.epoch {
			f.lost(saved, target)
			return nil
		}
		if at.offset >= target.offset {
			return nil
		}
		entries, err := f.b.read(f.name, at.epoch, at.offset, maxPipelineBytes)
		if err != nil {
			return err
		}
		if len(entries) == 0 { // not kept any more, or begun anew meanwhile
			saved, target, err = f.b.look(f.name, f.recent, at, true)
			if err != nil {
				return err
			}
			if at = f.at(); at.epoch != target.epoch || at.offset < target.offset {
				f.lost(saved, target)
			}
			return nil
		}
		f.fill(entries)
	}
	return nil
}

// fill hands over what was read, as far as the feed does not have it.
func (f *follower) fill(entries []entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.at()
	for len(entries) > 0 && entries[0].message.Offset <= at.offset {
		entries = entries[1:]
	}
	if f.ended.Load() || len(entries) == 0 || entries[0].message.Epoch != at.epoch || entries[0].message.Offset != at.offset+1 {
		return
	}
	f.b.counters.filled.Add(uint64(len(entries)))
	f.hand(at, entries)
}

// lost tells the feed that it goes on from what is saved.
func (f *follower) lost(saved channel.Saved, at place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	has := f.at()
	if f.ended.Load() || has.epoch == at.epoch && has.offset >= at.offset {
		return
	}
	f.b.counters.lost.Add(1)
	f.set(at)
	f.feed.Lost(saved)
}
