package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
)

// A follow is that a channel is followed. The feed is called by the goroutine that takes messages, or, while it catches up, by the one
// that does that: never by both.
type follow struct {
	feed   channel.Feed
	recent channel.Keep
	sub    *nats.Subscription
	at     place // what the feed was handed last

	doubted time.Time // since when the stream seems to have forgotten something; of who catches up

	// Guarded by the topic's mu.
	behind  bool   // it catches up
	target  uint64 // a sequence of the stream that was seen meanwhile
	again   bool   // the leader is to be asked again, whatever was seen
	dropped int    // by nats.go, of what came
	feeding bool   // the feed is called with what was heard; catching up begins after that
	ended   bool
}

// A place is where a follower is.
type place struct {
	epoch string
	end   uint64 // offset
	seq   uint64 // of the stream
	id    uint64 // of the record
}

// Follow implements [channel.Broker]. The error is [ErrAway], [ErrClosed] or [ErrDenied].
func (b *Broker) Follow(name string, recent channel.Keep, feed channel.Feed) (saved channel.Saved, err error) {
	ctx, end, err := b.operation("follow")
	if err != nil {
		return channel.Saved{}, err
	}
	defer end()
	b.need(recent)
	t := b.topic(name)
	f := &follow{feed: feed, recent: recent, behind: true}
	t.mu.Lock()
	t.follow = f
	t.mu.Unlock()
	b.mu.Lock()
	b.follows[b.heard(name)] = t
	b.mu.Unlock()
	defer func() {
		if err != nil {
			b.unfollow(t, f)
		}
	}()
	if err = b.subscribe(ctx, t, f); err != nil {
		return channel.Saved{}, err
	}
	// The subscription comes first, on the same connection, so that what the leader does not have yet is heard.
	if saved, err = b.begin(ctx, t, f); err != nil {
		return channel.Saved{}, err
	}
	if err = denied(b.nc, `"`+b.heard(t.name)+`"`); err != nil { // the server says so before it answers what came later
		return channel.Saved{}, err
	}
	b.verifySoon(t, f)
	b.caughtUp(t, f)
	return saved, nil
}

// begin finds where a follower begins; a channel that has nothing gets an epoch.
func (b *Broker) begin(ctx context.Context, t *topic, f *follow) (channel.Saved, error) {
	for {
		last, newest, err := b.lastOf(ctx, t)
		if err != nil {
			return channel.Saved{}, err
		}
		if last.epoch == "" {
			if err := b.mark(ctx, t, f.recent, anew{}); err != nil {
				return channel.Saved{}, err
			}
			continue
		}
		saved, err := b.saved(ctx, t, &last, newest, f.recent)
		f.at = place{epoch: last.epoch, end: last.end, seq: last.seq, id: newest.id}
		t.mu.Lock()
		if !t.known && !t.tail.forgotten(&last) || t.tail.seq < last.seq {
			t.tail, t.known = last, true
		}
		t.mu.Unlock()
		return saved, err
	}
}

// mark puts a record without messages at the end of a channel, so that its epoch and offset are not forgotten.
func (b *Broker) mark(ctx context.Context, t *topic, keep channel.Keep, from anew) error {
	done := make(chan error, 1)
	b.submit(t.name, &entry{keep: channel.Keep{Age: keep.Age}, anew: from, done: func(_ channel.Appended, err error) { done <- err }, at: time.Now()})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrAway, context.Cause(ctx))
	}
}

func (b *Broker) subscribe(ctx context.Context, t *topic, f *follow) error {
	done := make(chan error, 1)
	if !b.try(func() {
		sub, err := b.nc.ChanSubscribe(b.heard(t.name), b.feederOf(t.name).in)
		t.mu.Lock()
		f.sub = sub
		ended := f.ended
		t.mu.Unlock()
		if ended && err == nil {
			_ = sub.Unsubscribe()
		}
		done <- err
	}) {
		return errNobody
	}
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrAway, context.Cause(ctx))
	}
}

// Unfollow implements [channel.Broker].
func (b *Broker) Unfollow(name string) {
	b.mu.Lock()
	t := b.follows[b.heard(name)]
	b.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	f := t.follow
	t.mu.Unlock()
	if f != nil {
		b.unfollow(t, f)
	}
}

func (b *Broker) unfollow(t *topic, f *follow) {
	t.mu.Lock()
	if t.follow != f {
		t.mu.Unlock()
		return
	}
	t.follow = nil
	f.ended = true
	sub := f.sub
	b.mu.Lock()
	delete(b.follows, b.heard(t.name))
	b.mu.Unlock()
	t.mu.Unlock()
	if sub != nil {
		end := func() { _ = sub.Unsubscribe() }
		if !b.try(end) {
			b.spawn(func(context.Context) { end() })
		}
	}
	b.release(t)
}

// heardOf takes a message from the subject where a channel is heard.
func (b *Broker) heardOf(m *nats.Msg) {
	b.mu.Lock()
	t := b.follows[m.Subject]
	b.mu.Unlock()
	if t == nil {
		return
	}
	seq := headerNumber(m, "Nats-Sequence")
	r, err := decode(m.Data)
	if err == nil && (seq == 0 || m.Header.Get("Nats-Stream") != b.stream.name) {
		err = errNotOfStream
	} else if err == nil && m.Header.Get(expects) == "" {
		err = errUnplaced
	}
	if err != nil {
		b.foreign(m.Subject, seq, err)
		return
	}
	b.stats.Heard.Add(uint64(len(r.messages)))
	if f := t.hear(b, &r, seq, headerNumber(m, "Nats-Last-Sequence")); f != nil {
		f.feed.Messages(r.messages)
		t.mu.Lock()
		defer t.mu.Unlock()
		if f.feeding = false; f.behind {
			b.chaseSoon(t, f)
		}
	}
}

var errNotOfStream = errors.New("it does not come from the stream")

// hear takes a record that was heard, which was put after another one, and gives the follower that is to be handed its messages.
func (t *topic) hear(b *Broker, r *record, seq, before uint64) *follow {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.learn(r, seq)
	f := t.follow
	switch {
	case f == nil:
	case f.behind:
		f.target = max(f.target, seq)
	case r.epoch == f.at.epoch && r.first == f.at.end+1 && before == f.at.seq:
		f.at = place{epoch: r.epoch, end: r.end(), seq: seq, id: r.id}
		if len(r.messages) > 0 {
			f.feeding = true
			return f
		}
	case r.epoch == f.at.epoch && r.end() <= f.at.end && (seq < f.at.seq || r.id == f.at.id): // it was read from the stream already
	default:
		b.stats.Gaps.Add(1)
		b.catchUp(t, f, seq)
	}
	return nil
}

// followed is the topics that are.
func (b *Broker) followed() []*topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*topic, 0, len(b.follows))
	for _, t := range b.follows {
		all = append(all, t)
	}
	return all
}
