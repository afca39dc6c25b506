package natsbroker

import (
	"context"
	"errors"
	"math"
	"time"
)

// catchUp has a follower read from the stream what it may have missed, at least up to a sequence. t.mu is held.
func (b *Broker) catchUp(t *topic, f *follow, target uint64) {
	f.target = max(f.target, target)
	f.again = true
	if f.behind || f.ended {
		return
	}
	f.behind = true
	if !f.feeding {
		b.chaseSoon(t, f)
	}
}

// maxChasers is how many followers catch up at a time.
const maxChasers = 64

// chased is a follower that waits to catch up.
type chased struct {
	t *topic
	f *follow
}

func (b *Broker) chaseSoon(t *topic, f *follow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behind = append(b.behind, chased{t, f})
	if b.chasers < maxChasers {
		b.chasers++
		b.spawn(b.chaseAll)
	}
}

// chaseAll is a goroutine that has followers catch up while there are any.
func (b *Broker) chaseAll(ctx context.Context) {
	for {
		b.mu.Lock()
		if len(b.behind) == 0 {
			b.behind = nil
			b.chasers--
			b.mu.Unlock()
			return
		}
		next := b.behind[0]
		b.behind = b.behind[1:]
		b.mu.Unlock()
		b.chase(ctx, next.t, next.f)
	}
}

// caughtUp ends that a follower is behind, unless more is to be had: then it catches up with that.
func (b *Broker) caughtUp(t *topic, f *follow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.behind = false
	if f.target > f.at.seq || f.again {
		b.catchUp(t, f, f.target)
	}
}

// chase reads until a follower is where the channel ends.
func (b *Broker) chase(ctx context.Context, t *topic, f *follow) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		t.mu.Lock()
		f.again, f.target = false, 0 // what is heard from now on may be later than what the leader says
		ended := f.ended
		t.mu.Unlock()
		if ended {
			return
		}
		err := b.approach(t, f)
		if err == nil {
			f.doubted = time.Time{}
			break
		}
		b.log.warn("a follower cannot catch up yet", "channel", t.name, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
	b.caughtUp(t, f)
}

// approach reads from the stream what a follower has not, once.
func (b *Broker) approach(t *topic, f *follow) error {
	ctx, end, err := b.operation("catch up")
	if err != nil {
		return err
	}
	defer end()
	last, newest, err := b.lastOf(ctx, t)
	if err != nil {
		return err
	}
	switch {
	case last.epoch == "": // nothing is there, and nothing to be missed
		return nil
	case last.epoch != f.at.epoch:
		return b.lost(ctx, t, f, &last, newest)
	case newest.id == f.at.id:
		f.at.seq = last.seq
		return nil
	case last.seq < f.at.seq:
		return b.fork(ctx, t, f, &last, anew{last.epoch, last.seq, last.seq}) // unless who says so is not the leader any more
	}
	whole, begun, forked := true, false, false
	var asked error
	err = b.scan(ctx, t, f.at.seq, last.seq, func(seq uint64, r *record) bool {
		if !begun {
			begun = true
			if r.id == f.at.id {
				return true
			}
			if forked, asked = b.isFork(ctx, t, f, seq, r); forked || asked != nil {
				return false
			}
		}
		if whole = r.epoch == f.at.epoch && r.first == f.at.end+1; !whole {
			return false
		}
		f.at = place{epoch: r.epoch, end: r.end(), seq: seq, id: r.id}
		b.feed(t, f, func() { f.feed.Messages(r.messages) })
		return true
	})
	switch {
	case err != nil || asked != nil:
		return errors.Join(err, asked)
	case forked:
		return b.fork(ctx, t, f, &last, anew{last.epoch, last.seq, math.MaxUint64})
	}
	if !whole || f.at.end != last.end {
		return b.lost(ctx, t, f, &last, newest)
	}
	f.at.seq = last.seq
	return nil
}

// feed calls a feed, unless it has ended.
func (b *Broker) feed(t *topic, f *follow, call func()) {
	t.mu.Lock()
	ended := f.ended
	t.mu.Unlock()
	if !ended {
		call()
	}
}

// lost has a follower go on from where the channel ends.
func (b *Broker) lost(ctx context.Context, t *topic, f *follow, last *tail, newest *record) error {
	saved, err := b.saved(ctx, t, last, newest, f.recent)
	if err != nil {
		return err
	}
	b.stats.Lost.Add(1)
	f.at = place{epoch: last.epoch, end: last.end, seq: last.seq, id: newest.id}
	b.feed(t, f, func() { f.feed.Lost(saved) })
	return nil
}

// catchUpAll has all followers see whether they missed something.
func (b *Broker) catchUpAll() {
	for _, t := range b.followed() {
		t.mu.Lock()
		if f := t.follow; f != nil {
			b.catchUp(t, f, 0)
		}
		t.mu.Unlock()
	}
}
