package redisbroker

import (
	"encoding/binary"
	"fmt"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cluster/redislink"
)

// How a message is published. An appender holds the messages of one channel that wait. At most one batch of them is under way: so they
// arrive in order, and who publishes meanwhile goes with the next one. A lane holds the appenders that have something for one
// server, and sends the batches of many in one pipeline.

// A batch is at most this long, unless it is one message.
const (
	maxBatch      = 128
	maxBatchBytes = 256 << 10
)

// waiting is a message on its way.
type waiting struct {
	message *channel.Message // without place and time yet; nil: see err
	body    []byte
	keep    channel.Keep
	done    func(channel.Appended, error)
	since   time.Time
	err     error // it fails when it is its turn
}

func (w *waiting) size() int64 { return int64(len(w.body)) + overhead }

// appender is what waits to be put into a channel, and what is known of that.
type appender struct {
	name string

	// Guarded by Broker.mu.
	queue []*waiting
	busy  bool // it is in a lane, or on the way to one, or its batch is under way
	used  time.Time

	known place // whoever has it while it is busy has this
}

// Append implements [channel.Broker].
func (b *Broker) Append(name string, m *channel.Message, keep channel.Keep, done func(channel.Appended, error)) {
	w := &waiting{keep: keep, done: done, since: time.Now()}
	size := len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + len(m.Sender) + 16
	switch {
	case size > b.o.MaxMessageBytes || len(m.Sender) > maxSender:
		w.err = fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	case b.queued.Load()+int64(size) > b.o.MaxQueueBytes:
		w.err = ErrBusy
	default:
		w.message = &channel.Message{ID: m.ID, Event: m.Event, Data: m.Data, Binary: m.Binary, Exclude: m.Exclude, User: m.User, Key: m.Key, Sender: m.Sender}
		w.body = appendBody(make([]byte, 0, size), m)
	}
	b.queued.Add(w.size())

	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		b.queued.Add(-w.size())
		go done(channel.Appended{}, ErrClosed)
		return
	}
	b.pending++
	a := b.logs[name]
	if a == nil {
		a = &appender{name: name}
		b.logs[name] = a
	}
	a.queue = append(a.queue, w)
	ready := !a.busy
	a.busy = true
	b.mu.Unlock()
	if ready {
		b.send(a)
	}
}

// cut takes the next batch of a channel off its queue: those that fail for themselves first, alone.
func (b *Broker) cut(a *appender, now time.Time) (batch, failed []*waiting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failed = a.expired(now.Add(-b.o.Timeout))
	n, size := 0, 0
	for ; n < min(len(a.queue), maxBatch); n++ {
		w := a.queue[n]
		size += len(w.body)
		if w.err != nil || n > 0 && size > maxBatchBytes {
			break
		}
	}
	batch = append(batch, a.queue[:n]...)
	a.drop(n)
	return batch, failed
}

// expired takes those off the queue that fail, up to the first that does not.
func (a *appender) expired(before time.Time) (failed []*waiting) {
	n := 0
	for n < len(a.queue) && (a.queue[n].err != nil || a.queue[n].since.Before(before)) {
		n++
	}
	failed = append(failed, a.queue[:n]...)
	a.drop(n)
	return failed
}

func (a *appender) drop(n int) {
	clear(a.queue[:n])
	if a.queue = a.queue[n:]; len(a.queue) == 0 {
		a.queue = nil
	}
}

// restore puts a batch back to where it was: Redis did not take it.
func (b *Broker) restore(a *appender, batch []*waiting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.queue = append(batch, a.queue...)
}

// release says whether there is more for a channel whose batch has ended.
func (b *Broker) release(a *appender, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.used = now
	a.busy = len(a.queue) > 0
	return a.busy
}

// end tells the publisher, without a lock.
func (b *Broker) end(w *waiting, to channel.Appended, err error) {
	b.queued.Add(-w.size())
	done := w.done
	w.message, w.body, w.done = nil, nil, nil
	done(to, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending--
	if b.pending == 0 && b.drained != nil {
		close(b.drained)
	}
}

// fail tells all of a batch why it failed.
func (b *Broker) fail(batch []*waiting, err error) {
	b.counters.failed.Add(uint64(len(batch)))
	for _, w := range batch {
		why := err
		if w.err != nil {
			why = w.err
		}
		b.end(w, channel.Appended{}, why)
	}
}

// args are those of the script for a batch.
func (b *Broker) args(a *appender, batch []*waiting) []any {
	known := a.known
	if f := b.follower(a.name); f != nil {
		if at := f.at(); at.epoch != "" && (at.epoch != known.epoch || at.offset > known.offset) {
			known = at
		}
	}
	keyed := false
	for _, w := range batch {
		keyed = keyed || w.message.Key != ""
	}
	head := appendKnown(make([]byte, 0, 128), known)
	head = b.bounds(batch[len(batch)-1].keep).append(head)
	head = append(head, newTag()...)
	head = binary.BigEndian.AppendUint32(head, uint32(len(batch)))
	args := make([]any, 0, 2+3*len(batch))
	args = append(args, head, b.pubsub+redislink.Tag(a.name))
	for _, w := range batch {
		args = append(args, w.body)
	}
	if keyed {
		for _, w := range batch {
			args = append(args, w.message.Key, w.message.ID)
		}
	}
	return args
}

// appended tells the publishers of a batch what the script says.
func (b *Broker) appended(a *appender, batch []*waiting, v any) {
	from := batch[0].since
	r := answerOf(v)
	epoch, last, micros, pushed, tag := r.text(), r.number(), r.number(), r.number(), r.text()
	begun, foreign, problem := r.number(), r.number(), r.text()
	if r.bad || !isEpoch(epoch) || pushed > last || pushed > uint64(len(batch)) || len(tag) != tagBytes {
		b.fail(batch, fmt.Errorf("%w: %w: the answer of a script: %.300v", channel.ErrUncertain, errWire, v))
		return
	}
	a.known = place{epoch, last, tag}
	b.healed(a.name, foreign)
	if begun == 2 {
		b.counters.forks.Add(1)
		b.notes.note("Redis has forgotten the newest messages of a channel, which begins anew", fmt.Errorf("channel %q", a.name))
	}
	if problem != "" {
		b.fail(batch, fmt.Errorf("%w: %w: publishing: %s", channel.ErrUncertain, ErrRefused, problem))
		return
	}
	b.counters.appended.Add(pushed)
	b.observe("append", len(batch), from, nil)
	offset, at := last-pushed, time.UnixMicro(int64(micros))
	dup := r.next()
	for i, w := range batch {
		if dup == i+1 {
			first, err := parseFirst(r.text())
			dup = r.next()
			if err != nil {
				err = fmt.Errorf("%w: %w", channel.ErrUncertain, err)
			}
			b.end(w, channel.Appended{Message: first, Duplicate: true}, err)
			continue
		}
		offset++
		m := w.message
		m.Offset, m.Epoch, m.Time = offset, epoch, at
		if m.ID == "" {
			m.ID = m.Position().String()
		}
		b.end(w, channel.Appended{Message: m}, nil)
	}
}

// next is the number of the next duplicate, 0 where there is none.
func (a *answer) next() int {
	if len(a.values) == 0 {
		return 0
	}
	return int(a.number())
}
