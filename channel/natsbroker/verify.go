package natsbroker

import (
	"context"
	"math/rand/v2"
	"time"

	"baro.dev/channel"
)

// Messages for followers go from server to server and may be lost, when a connection between two of them ends for instance. The next
// message of the channel shows that; where there is none for long, a comparison with the stream does.

// fresh is a channel that was followed just now.
type fresh struct {
	t  *topic
	f  *follow
	at time.Time
}

// verifySoon has a channel compared that was followed just now: servers learn of a subscription one after the other.
func (b *Broker) verifySoon(t *topic, f *follow) {
	if b.stream.near() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fresh = append(b.fresh, fresh{t: t, f: f, at: time.Now()})
}

// verifyAlways is the goroutine that compares.
func (b *Broker) verifyAlways() {
	defer b.goroutines.Done()
	soon := time.NewTicker(time.Second)
	defer soon.Stop()
	all := time.NewTicker(b.options.VerifyEvery)
	defer all.Stop()
	for {
		select {
		case now := <-soon.C:
			b.verifyFresh(now.Add(-time.Second))
		case <-all.C:
			b.verifyAll()
		case <-b.ctx.Done():
			return
		}
	}
}

// verifyFresh compares what was followed before a time.
func (b *Broker) verifyFresh(before time.Time) {
	for {
		b.mu.Lock()
		if len(b.fresh) == 0 || b.fresh[0].at.After(before) || b.ctx.Err() != nil {
			b.mu.Unlock()
			return
		}
		next := b.fresh[0]
		if b.fresh = b.fresh[1:]; len(b.fresh) == 0 {
			b.fresh = nil
		}
		b.mu.Unlock()
		b.verify(next.t, next.f)
	}
}

// verifyAll compares all that is followed, not faster than 500 a second, and renews what would be forgotten.
func (b *Broker) verifyAll() {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for _, t := range b.followed() {
		select {
		case <-pace.C:
		case <-b.ctx.Done():
			return
		}
		b.verifyFresh(time.Now().Add(-time.Second))
		t.mu.Lock()
		f := t.follow
		t.mu.Unlock()
		if f != nil {
			b.verify(t, f)
			b.renew(t, f)
		}
	}
}

// verify has a follower catch up if the stream has more than it has been handed.
func (b *Broker) verify(t *topic, f *follow) {
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
	defer cancel()
	var last stored
	if err := b.directGet(ctx, getRequest{Last: t.subject}, func(s stored) { last = s }); err != nil || last.seq == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meet(&last)
	if !f.behind && !f.ended && last.seq != f.at.seq { // less: a replica may be late, or the stream has forgotten something
		if last.seq > f.at.seq {
			b.stats.Gaps.Add(1)
		}
		b.catchUp(t, f, last.seq)
	}
}

// renew puts a record without messages at the end of a channel that would be forgotten soon, though it is followed: when the messages are past
// their age, and before the epoch is. One of those who follow it is the first to do so.
func (b *Broker) renew(t *topic, f *follow) {
	t.mu.Lock()
	age := b.clock.Now().Sub(time.Unix(0, t.tail.time))
	left := time.Duration(t.tail.ttl)*time.Second - age
	due := t.known && t.tail.ttl > 0 && left < b.options.Remember/2+rand.N(b.options.Remember/8)
	t.mu.Unlock()
	if due {
		b.submit(t.name, &entry{keep: channel.Keep{}, done: func(channel.Appended, error) {}, at: time.Now()})
	}
}
