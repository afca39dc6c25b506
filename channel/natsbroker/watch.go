package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// How often what waits is looked at, and the stream.
const (
	watchEvery = 50 * time.Millisecond
	probeEvery = 2 * time.Second
	leastProbe = 100 * time.Millisecond
)

// watch is the goroutine that ends what takes too long, and sends again what was not answered. It never waits for the connection.
func (b *Broker) watch() {
	defer b.goroutines.Done()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			b.calls.expire(now)
			for _, t := range b.activeTopics() {
				b.check(t, now)
			}
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Broker) activeTopics() []*topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*topic, 0, len(b.active))
	for t := range b.active {
		all = append(all, t)
	}
	return all
}

// check ends or sends again what is under way for a topic.
func (b *Broker) check(t *topic, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.queue {
		if now.Sub(e.at) < b.options.Timeout {
			break
		}
		e.fail(fmt.Errorf("%w: it waited for %v", ErrAway, b.options.Timeout))
	}
	f := t.flight
	switch {
	case f == nil:
		b.wake(t)
	case f.busy || f.number != 0 && now.Before(f.deadline):
	case now.Before(f.deadline):
		b.spawn(func(context.Context) { b.launch(t, f) })
	default:
		f.busy = true
		err := fmt.Errorf("%w: no acknowledgement", ErrAway)
		switch {
		case f.number != 0 || f.unheard:
			err = b.uncertain(errNoAck)
		case f.failure != nil:
			err = fmt.Errorf("%w: %w", ErrAway, f.failure)
		}
		b.spawn(func(context.Context) { b.failed(t, f, err) })
	}
}

var errNoAck = errors.New("no acknowledgement came")

// probe is the goroutine that looks at the stream: whether it answers, is led by another server, is another one.
func (b *Broker) probe() {
	defer b.goroutines.Done()
	status := b.nc.StatusChanged(nats.CONNECTED)
	defer b.nc.RemoveStatusListener(status)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	reconnects := b.nc.Stats().Reconnects
	missed, again := false, false // something may have been, by others even now
	for {
		select {
		case <-tick.C:
		case <-b.poked:
		case <-status:
		case <-b.ctx.Done():
			return
		}
		changed, err := b.look()
		if r := b.nc.Stats().Reconnects; r != reconnects {
			reconnects, changed = r, true
		}
		missed = missed || changed || err != nil
		if err == nil && (changed || time.Since(b.clockRead) > clockEvery) {
			b.readClock(b.ctx)
		}
		if b.note(err); err == nil && (missed || again) {
			// Servers learn of subscriptions one after the other.
			missed, again = false, missed && !b.stream.near()
			b.catchUpAll()
		}
		select { // not again at once
		case <-time.After(leastProbe):
		case <-b.ctx.Done():
			return
		}
	}
}

// poke has the stream looked at soon.
func (b *Broker) poke() {
	select {
	case b.poked <- struct{}{}:
	default:
	}
}

// look asks how the stream is, and makes it if it is not there.
func (b *Broker) look() (changed bool, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
	defer cancel()
	b.maxPayload.Store(min(b.nc.MaxPayload(), maxRecord))
	return b.stream.look(ctx)
}

// note tells of the broker going away, and coming back.
func (b *Broker) note(err error) {
	if b.ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	before := b.away
	b.away = err
	b.mu.Unlock()
	switch {
	case before == nil && err != nil:
		b.options.Logger.Error("natsbroker: NATS is away", "err", err)
	case before != nil && err == nil:
		b.options.Logger.Info("natsbroker: NATS is back")
	}
}
