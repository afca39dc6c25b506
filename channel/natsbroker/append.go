package natsbroker

import (
	"fmt"
	"math/rand/v2"
	"time"

	"baro.dev/channel"
)

// What goes into one record, at most.
const (
	maxBatch      = 1024
	maxBatchBytes = 256 << 10
)

// maxFlights is how many channels are published to at once.
const maxFlights = 1024

// Append implements [channel.Broker]. The error that done is given is [ErrAway], [ErrBusy], [ErrTooLarge], [ErrDenied]
// or [ErrClosed].
func (b *Broker) Append(name string, m *channel.Message, keep channel.Keep, done func(channel.Appended, error)) {
	e := &entry{m: published(m), keep: keep, done: done, size: messageSize(m), wire: wireSize(m), at: time.Now()}
	b.submit(name, e)
}

// submit queues an entry.
func (b *Broker) submit(name string, e *entry) {
	t := b.topic(name)
	e.err = b.admit(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, e)
	b.wake(t)
}

// admit counts what waits, and says what keeps an entry from being published.
func (b *Broker) admit(e *entry) error {
	if e.m != nil {
		if err := validate(e.m); err != nil {
			return err
		}
		if limit := int(b.maxPayload.Load()) - overhead - headerBytes; e.wire > limit && limit > 0 {
			return fmt.Errorf("%w: %d bytes with its id, event and so on; its max_payload leaves room for %d", ErrTooLarge, e.wire, limit)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return ErrClosed
	}
	if b.waiting > 0 && b.waiting+e.size > b.options.MaxWaitingBytes {
		return fmt.Errorf("%w: %d bytes of %d", ErrBusy, b.waiting, b.options.MaxWaitingBytes)
	}
	b.waiting += e.size
	b.entries++
	e.admitted = true
	return nil
}

// wake has the sender look at a topic. t.mu is held.
func (b *Broker) wake(t *topic) {
	if t.ready || t.paused || t.flight != nil {
		return
	}
	t.ready = true
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed { // the sender is gone
		go b.step(t)
		return
	}
	b.run = append(b.run, t)
	b.active[t] = struct{}{}
	b.more.Signal()
}

// wakeLater does so after a pause, which is longer the more often others were faster. t.mu is held.
func (b *Broker) wakeLater(t *topic) {
	if t.paused || t.ready {
		return
	}
	most := min(time.Duration(1)<<min(t.losses, 7)*200*time.Microsecond, 20*time.Millisecond)
	t.paused = true
	time.AfterFunc(rand.N(most), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.paused = false
		b.wake(t)
	})
}

// send is the goroutine that publishes what waits, so that Append need not wait for the connection.
func (b *Broker) send() {
	defer b.goroutines.Done()
	for {
		b.mu.Lock()
		for !b.closed && (len(b.run) == 0 || b.flights >= maxFlights) {
			b.more.Wait()
		}
		if len(b.run) == 0 { // it is closed
			b.mu.Unlock()
			return
		}
		t := b.run[0]
		b.run[0] = nil
		if b.run = b.run[1:]; len(b.run) == 0 {
			b.run = nil
		}
		b.mu.Unlock()
		b.step(t)
	}
}

// step does what is next for a topic. The sender calls it.
func (b *Broker) step(t *topic) {
	t.mu.Lock()
	t.ready = false
	var refused []*entry
	if t.flight == nil {
		refused = t.refused()
	}
	t.mu.Unlock()
	for _, e := range refused {
		if e.original != nil {
			b.stats.Duplicates.Add(1)
			b.tell(t, e, channel.Appended{Message: e.original, Duplicate: true}, nil)
		} else {
			b.tell(t, e, channel.Appended{}, e.err)
		}
	}
	if start := b.next(t); start != nil {
		start()
	}
}

// next begins what is next, and gives what is to be done for it without a lock.
func (b *Broker) next(t *topic) (start func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.flight != nil || t.paused || t.ready:
		return nil
	case len(t.queue) == 0:
		t.keys = nil
		b.mu.Lock()
		delete(b.active, t)
		b.mu.Unlock()
		return nil
	case t.settled(t.queue[0]): // it came, or failed, a moment ago
		b.wake(t)
		return nil
	case !t.known:
		return b.lookup(t)
	default:
		return b.depart(t)
	}
}

// refused takes the entries that were refused from the front of the queue. mu is held.
func (t *topic) refused() []*entry {
	n := 0
	for n < len(t.queue) && t.settled(t.queue[n]) {
		n++
	}
	return t.dequeue(n)
}

// settled says whether an entry need not be published: it was refused, or what has its key was published while it waited, which happens
// where publishers do not wait as long. mu is held.
func (t *topic) settled(e *entry) bool {
	if e.err == nil && e.m != nil && e.m.Key != "" {
		if first := t.keys[e.m.Key]; first != nil {
			e.err, e.original = errDuplicate, first
		}
	}
	return e.err != nil
}

// maxRemembered is how many keys are known of what was published while others wait.
const maxRemembered = 1024

// remember notes the keys of messages that were published, for those that wait. mu is held.
func (t *topic) remember(messages []*channel.Message) {
	if len(t.queue) == 0 {
		return
	}
	for _, m := range messages {
		if m.Key == "" {
			continue
		}
		if t.keys == nil || len(t.keys) >= maxRemembered {
			t.keys = make(map[string]*channel.Message)
		}
		t.keys[m.Key] = &channel.Message{ID: m.ID, Key: m.Key, Offset: m.Offset, Epoch: m.Epoch, Time: m.Time}
	}
}

// dequeue takes the first n. mu is held.
func (t *topic) dequeue(n int) []*entry {
	taken := t.queue[:n:n]
	if t.queue = t.queue[n:]; len(t.queue) == 0 {
		t.queue = nil
	}
	return taken
}

// batch takes what goes into one record: of those with keys one, since NATS knows one for each message. mu is held.
func (t *topic) batch(limit int) []*entry {
	n, bytes, keyed := 0, 0, false
	for n < len(t.queue) && n < maxBatch {
		e := t.queue[n]
		if t.settled(e) || n > 0 && (e.m == nil || t.queue[0].m == nil || bytes+e.wire > limit || keyed && e.m.Key != "") {
			break
		}
		keyed = keyed || e.m != nil && e.m.Key != ""
		bytes += e.wire
		n++
	}
	return t.dequeue(n)
}

// tell ends an entry.
func (b *Broker) tell(t *topic, e *entry, a channel.Appended, err error) {
	if e.m != nil {
		b.options.Observe("append", time.Since(e.at).Seconds())
	}
	e.done(a, err)
	b.release(t)
	if e.admitted {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.waiting -= e.size
		if b.entries--; b.entries == 0 {
			b.more.Broadcast()
		}
	}
}
