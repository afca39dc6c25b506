package natsbroker

import (
	"context"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
)

// The stream keeps as many records of each channel as the largest rule wants. What a channel's own rule does not keep is purged by
// whoever appends to it: now and then, up to a record that it remembers.

// trimAfter is how many records there are at least between those that are remembered, and maxCuts how many of those.
const trimAfter, maxCuts = 256, 16

// trim is where a channel may be cut off.
type trim struct {
	epoch   string // of the cuts
	cuts    []cut  // oldest first
	records uint64 // appended by this process
	busy    bool
}

// A cut is a record up to which a channel may be purged.
type cut struct {
	seq, end, total uint64
	record          uint64 // how many there were
}

// trimLater purges what is beyond keep, if that is much. t.mu is held.
func (b *Broker) trimLater(t *topic, keep channel.Keep) {
	now, trim := &t.tail, &t.trim
	trim.records++
	if trim.epoch != now.epoch { // another life, where the sequences may be those of another stream
		trim.epoch, trim.cuts = now.epoch, trim.cuts[:0]
	}
	for len(trim.cuts) > 0 && trim.records-trim.cuts[0].record > b.stream.perSubject() { // the stream has dropped it
		trim.cuts = append(trim.cuts[:0], trim.cuts[1:]...)
	}
	count, bytes := uint64(max(keep.Count, 0)), uint64(max(keep.Bytes, 1<<20))
	if n := len(trim.cuts); n == 0 || n < maxCuts && (trim.records-trim.cuts[n-1].record >= max(trimAfter, count/4) || now.total-trim.cuts[n-1].total > bytes/4) {
		trim.cuts = append(trim.cuts, cut{seq: now.seq, end: now.end, total: now.total, record: trim.records})
	}
	oldest := trim.cuts[0]
	if trim.busy || now.end-oldest.end <= 2*count+2*trimAfter && now.total-oldest.total <= 2*bytes {
		return
	}
	beyond := -1 // the newest is not cut off: followers may have missed some
	for i, c := range trim.cuts[:len(trim.cuts)-1] {
		if now.end-c.end > count || now.total-c.total > bytes {
			beyond = i
		}
	}
	if beyond < 0 {
		return
	}
	upTo := trim.cuts[beyond].seq
	trim.cuts = append(trim.cuts[:0], trim.cuts[beyond+1:]...)
	trim.busy = true
	b.spawn(func(ctx context.Context) { b.purge(ctx, t, upTo) })
}

// purge removes the records of a channel up to a sequence. Where that fails, the next time does it.
func (b *Broker) purge(ctx context.Context, t *topic, upTo uint64) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	err := b.calls.ask(ctx, b.api+"STREAM.PURGE."+b.stream.name, purgeRequest{Filter: t.subject, Seq: upTo + 1}, func(*nats.Msg) bool { return true })
	if err != nil {
		b.log.warn("what is not kept cannot be purged", "channel", t.name, "err", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trim.busy = false
}

// purgeRequest is what JetStream's STREAM.PURGE is asked (ADR-10).
type purgeRequest struct {
	Filter string `json:"filter"`
	Seq    uint64 `json:"seq"`
}
