package redisbroker

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"baro.dev/channel"
)

// Load implements [channel.Broker].
func (b *Broker) Load(name string, recent channel.Keep) (channel.Saved, error) {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return channel.Saved{}, ErrClosed
	}
	from := time.Now()
	var known place
	if f := b.follower(name); f != nil {
		known = f.at()
	}
	saved, _, err := b.look(name, recent, known, false)
	b.observe("load", 1, from, err)
	return saved, err
}

// look asks for what there is of a channel. A channel of which more is known than there is begins anew. Where create is true
// one that there is not begins, and is remembered for longer.
func (b *Broker) look(name string, recent channel.Keep, known place, create bool) (channel.Saved, place, error) {
	ctx, cancel := b.timeout()
	defer cancel()
	if !b.clock.Seen() { // without it nobody knows how old anything is
		b.readClock(ctx)
	}
	limits := b.bounds(recent)
	args := appendKnown(make([]byte, 0, 128), known)
	args = appendBool(args, create)
	r, err := b.run(ctx, b.scripts.look, name, limits.append(args))
	if err != nil {
		return channel.Saved{}, place{}, fmt.Errorf("loading: %w", err)
	}
	at := place{epoch: r.text(), offset: r.number(), tag: r.text()}
	saved := channel.Saved{Epoch: at.epoch, Offset: at.offset, Count: int(r.number()), Bytes: int64(r.number())}
	begun, foreign := r.number(), r.number()
	if r.bad || at.epoch != "" && !isEpoch(at.epoch) {
		return channel.Saved{}, place{}, fmt.Errorf("%w: %w: the answer of a script", ErrAway, errWire)
	}
	b.healed(name, foreign)
	if begun == 2 {
		b.counters.forks.Add(1)
		b.notes.note("Redis has forgotten the newest messages of a channel, which begins anew", fmt.Errorf("channel %q", name))
	}
	saved.Recent = b.recent(name, r, at)
	if len(r.values) > len(saved.Recent) { // nothing before what is wrong can be had
		saved.Count, saved.Bytes = len(saved.Recent), 0
		for _, m := range saved.Recent {
			saved.Bytes += messageSize(m)
		}
	}
	return saved, at, nil
}

// recent reads the newest messages, up to at, as far as nothing is missing or wrong.
func (b *Broker) recent(name string, r *answer, at place) []*channel.Message {
	var newest []*channel.Message
	next := at.offset
	for _, v := range slices.Backward(r.values) {
		text, _ := v.(string)
		e, err := parseEntry([]byte(text), at.epoch)
		if err == nil && e.message.Offset != next {
			err = fmt.Errorf("%w: the offset %d where %d belongs", errWire, e.message.Offset, next)
		}
		if err != nil {
			b.poisoned(name, err)
			break
		}
		newest = append(newest, e.message)
		next--
	}
	slices.Reverse(newest)
	return newest
}

// Read implements [channel.Broker].
func (b *Broker) Read(name, epoch string, after uint64, maxBytes int) ([]*channel.Message, error) {
	entries, err := b.read(name, epoch, after, maxBytes)
	if err != nil {
		return nil, err
	}
	messages := make([]*channel.Message, len(entries))
	for i, e := range entries {
		messages[i] = e.message
	}
	return messages, nil
}

func (b *Broker) read(name, epoch string, after uint64, maxBytes int) (entries []entry, err error) {
	from := time.Now()
	defer func() { b.observe("read", len(entries), from, err) }()
	if !isEpoch(epoch) || after >= maxOffset {
		return nil, nil
	}
	ctx, cancel := b.timeout()
	defer cancel()
	maxBytes = max(maxBytes, 1)
	args := append(make([]byte, 0, 64), epoch...)
	args = binary.BigEndian.AppendUint64(args, after)
	args = binary.BigEndian.AppendUint64(args, uint64(maxBytes))
	r, err := b.run(ctx, b.scripts.read, name, args)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	size := 0
	for _, v := range r.values {
		text, _ := v.(string)
		e, err := parseEntry([]byte(text), epoch)
		if err == nil && e.message.Offset != after+1 {
			err = fmt.Errorf("%w: the offset %d where %d belongs", errWire, e.message.Offset, after+1)
		}
		if err != nil {
			b.poisoned(name, err)
			break
		}
		size += len(e.message.Data)
		if size > maxBytes && len(entries) > 0 {
			break
		}
		entries = append(entries, e)
		after++
	}
	return entries, nil
}

func messageSize(m *channel.Message) int64 {
	return int64(len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + overhead)
}
