package natsbroker

import (
	"context"
	"math"

	"baro.dev/channel"
)

// Load implements [channel.Broker]. The error is [ErrAway] or [ErrClosed]. What it gives is not older than what anybody was told before.
func (b *Broker) Load(name string, recent channel.Keep) (channel.Saved, error) {
	ctx, end, err := b.operation("load")
	if err != nil {
		return channel.Saved{}, err
	}
	defer end()
	t := b.topic(name)
	defer b.release(t)
	last, record, err := b.certainLast(ctx, t)
	if err != nil || last.epoch == "" {
		return channel.Saved{}, err
	}
	return b.saved(ctx, t, &last, record, recent)
}

// certainLast is lastOf, answered by who led the stream before and afterwards: one that has stood still answers at first as the leader that
// it was, and then another one does.
func (b *Broker) certainLast(ctx context.Context, t *topic) (last tail, newest *record, err error) {
	before, err := b.stream.confirm(ctx)
	for err == nil {
		var after string
		if last, newest, err = b.lastOf(ctx, t); err == nil {
			after, err = b.stream.confirm(ctx)
		}
		if err == nil && after == before {
			break
		}
		before = after
	}
	return last, newest, err
}

// saved is what is kept of a channel that ends with newest.
func (b *Broker) saved(ctx context.Context, t *topic, last *tail, newest *record, recent channel.Keep) (channel.Saved, error) {
	s := channel.Saved{Epoch: last.epoch, Offset: last.end}
	oldest := newest
	if newest.first > 1 {
		got, err := b.get(ctx, getRequest{Seq: 1, Next: t.subject})
		if err != nil {
			return channel.Saved{}, err
		}
		first, err := got.record()
		if err != nil || first.epoch != last.epoch { // an older life, or what is none: all of this one is there
			first.first, first.total = 1, 0
		}
		oldest = &first
	}
	s.Count = int(min(last.end-min(oldest.first-1, last.end), math.MaxInt32))
	s.Bytes = int64(last.total - min(oldest.total, last.total))
	n := uint64(max(min(recent.Count, s.Count), 0))
	if n == 0 {
		return s, nil
	}
	if average := s.Bytes / int64(s.Count); average > 0 && recent.Bytes/average < int64(n) {
		n = uint64(recent.Bytes/average) + 1
	}
	messages, err := b.newest(ctx, t, last, newest, n)
	if err != nil {
		return channel.Saved{}, err
	}
	s.Recent = within(messages, recent)
	return s, nil
}

// newest gives the newest n messages, or fewer.
func (b *Broker) newest(ctx context.Context, t *topic, last *tail, newest *record, n uint64) ([]*channel.Message, error) {
	if uint64(len(newest.messages)) >= n {
		return newest.messages[uint64(len(newest.messages))-n:], nil
	}
	return b.read(ctx, t, last, last.end-n+1, math.MaxInt, true)
}

// within is the newest of messages that are within the bounds.
func within(messages []*channel.Message, keep channel.Keep) []*channel.Message {
	left := keep.Bytes
	for n := range messages {
		i := len(messages) - 1 - n
		if left -= messageSize(messages[i]); left < 0 || n >= keep.Count {
			return messages[i+1:]
		}
	}
	return messages
}

// read gives the messages from an offset on, without gaps: those that fit in maxBytes of data, but at least one. There is none where the
// first is not kept, unless later ones will do.
func (b *Broker) read(ctx context.Context, t *topic, last *tail, offset uint64, maxBytes int, later bool) ([]*channel.Message, error) {
	from, err := b.locate(ctx, t, last, offset)
	if err != nil {
		return nil, err
	}
	var messages []*channel.Message
	full := false
	err = b.scan(ctx, t, from, last.seq, func(_ uint64, r *record) bool {
		if r.epoch != last.epoch {
			return true
		}
		for _, m := range r.messages {
			switch {
			case m.Offset < offset:
				continue
			case m.Offset > offset && len(messages) == 0 && !later, len(messages) > 0 && m.Offset != messages[len(messages)-1].Offset+1:
				full = true
			case len(messages) > 0 && len(m.Data) > maxBytes:
				full = true
			}
			if full {
				return false
			}
			maxBytes -= len(m.Data)
			messages = append(messages, m)
		}
		return true
	})
	return messages, err
}

// Read implements [channel.Broker]. The error is [ErrAway] or [ErrClosed].
func (b *Broker) Read(name, epoch string, after uint64, maxBytes int) ([]*channel.Message, error) {
	ctx, end, err := b.operation("read")
	if err != nil {
		return nil, err
	}
	defer end()
	t := b.topic(name)
	defer b.release(t)
	last, err := b.end(ctx, t, epoch, after)
	if err != nil || last.epoch != epoch || after >= last.end {
		return nil, err
	}
	return b.read(ctx, t, &last, after+1, maxBytes, false)
}

// end is where a channel ends, or ended a while ago, when there was something after an offset already.
func (b *Broker) end(ctx context.Context, t *topic, epoch string, after uint64) (tail, error) {
	t.mu.Lock()
	last, known := t.tail, t.known
	t.mu.Unlock()
	if known && last.epoch == epoch && after < last.end {
		return last, nil
	}
	last, _, err := b.lastOf(ctx, t)
	return last, err
}
