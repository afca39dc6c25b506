package natsbroker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
)

// headerBytes is how long the headers of a record are at most.
const headerBytes = 256

// A flight is a record on its way to the stream, until it is acknowledged or given up; or, without entries, the question where a
// channel ends. Fields that change are guarded by the topic's mu.
type flight struct {
	entries  []*entry
	record   record
	message  *nats.Msg
	after    tail
	deadline time.Time
	number   uint64 // of the call that is open; 0: none is, and it is to be sent again
	unheard  bool   // it was sent, and perhaps stored, without an answer
	busy     bool   // somebody finds out what became of it
	failure  error  // why it was not stored the last time
}

// lookup has the leader asked where a channel ends. mu is held.
func (b *Broker) lookup(t *topic) func() {
	f := &flight{busy: true}
	t.flight = f
	known := t.tail
	anybody := t.losses == 0 // where it is not true any more the stream refuses what is put after it
	b.count(1)
	return func() {
		b.spawn(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
			defer cancel()
			end, _, err := b.last(ctx, t, anybody)
			if err == nil && anybody && known.forgotten(&end) {
				end, _, err = b.certainLast(ctx, t)
			}
			if err == nil && known.forgotten(&end) {
				b.log.warn(forgot, "channel", t.name)
				end = tail{seq: end.seq}
			}
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.known = err == nil; t.known {
				t.tail = end
			} else {
				for _, e := range t.queue {
					e.fail(err)
				}
			}
			b.land(t)
		})
	}
}

func (e *entry) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// land ends what is under way. mu is held.
func (b *Broker) land(t *topic) {
	t.flight = nil
	b.count(-1)
	b.wake(t)
}

func (b *Broker) count(flights int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flights += flights
	b.more.Signal()
}

// depart makes a record of what waits. mu is held.
func (b *Broker) depart(t *topic) func() {
	limit := min(int(b.maxPayload.Load())-overhead-headerBytes, maxBatchBytes)
	entries := t.batch(limit)
	f := &flight{entries: entries, after: t.tail, deadline: entries[0].at.Add(b.options.Timeout)}
	var messages []*channel.Message
	key := ""
	keep := entries[len(entries)-1].keep
	for _, e := range entries {
		if e.m != nil {
			messages = append(messages, published(e.m))
			key = cmp.Or(e.m.Key, key) // of one
		}
	}
	ttl := b.need(keep)
	f.record = entries[0].anew.of(t.tail).next(messages, ttl, b.clock.Now())
	f.message = &nats.Msg{Subject: t.subject, Header: nats.Header{}, Data: f.record.append(make([]byte, 0, overhead+f.size()))}
	f.message.Header[expects] = []string{strconv.FormatUint(t.tail.seq, 10)}
	if key != "" {
		f.message.Header["Nats-Msg-Id"] = []string{messageID(t.name, key)}
	}
	if f.record.ttl > 0 && b.stream.ages() {
		f.message.Header["Nats-TTL"] = []string{strconv.FormatUint(f.record.ttl, 10)}
	}
	t.flight = f
	b.count(1)
	return func() { b.launch(t, f) }
}

// need has the stream have room for what a rule keeps, and says for how long.
func (b *Broker) need(keep channel.Keep) (ttl time.Duration) {
	ttl, more := b.stream.need(keep)
	if more {
		b.poke()
	}
	return ttl
}

func (f *flight) size() int {
	n := 0
	for _, e := range f.entries {
		n += e.wire
	}
	return n
}

// messageID is what NATS knows a key by: for all channels of the stream.
func messageID(name, key string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:18])
}

// launch sends a record.
func (b *Broker) launch(t *topic, f *flight) {
	reply, number := b.calls.begin(func(m *nats.Msg) bool { return b.answered(t, f, m) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flight != f || f.busy || f.number != 0 { // of two at once the stream would refuse one, and nobody knows which is answered first
		b.calls.take(number)
		return
	}
	f.number = number
	unsent := func(err error) {
		if _, ok := b.calls.take(number); ok {
			f.number, f.failure = 0, err
		}
	}
	m := *f.message
	m.Reply = reply
	if !b.try(func() {
		b.calls.notice()
		if b.recall(t, f, number) {
			return
		}
		if err := b.calls.publish(&m); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			unsent(err)
		}
	}) {
		unsent(errNobody)
	}
}

// recall says that a record is not sent, since what it would be put after may not be there any more: the stream is asked first. One that was sent
// before is sent as it was.
func (b *Broker) recall(t *topic, f *flight, number uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known || t.flight != f || f.unheard || f.busy || f.number != number {
		return false
	}
	if _, open := b.calls.take(number); !open {
		return false
	}
	t.queue = append(slices.Clip(f.entries), t.queue...)
	b.land(t)
	return true
}

// publishAck is what JetStream answers.
type publishAck struct {
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *apiError `json:"error"`
}

// of says whether an answer is that of a stream to a record.
func (a *publishAck) of(stream string, f *flight) bool {
	return a.Error != nil || a.Stream == stream && a.Seq > 0 && (!a.Duplicate || f.message.Header["Nats-Msg-Id"] != nil)
}

// answered takes what became of a record, and says whether m tells that: others may listen where records are published, and answer what they
// like. m is nil where there was no answer.
func (b *Broker) answered(t *topic, f *flight, m *nats.Msg) bool {
	var ack publishAck
	if m != nil && m.Header.Get("Status") == "" && (json.Unmarshal(m.Data, &ack) != nil || !ack.of(b.stream.name, f)) {
		return false
	}
	t.mu.Lock()
	if t.flight != f || f.busy {
		t.mu.Unlock()
		return true
	}
	f.number = 0
	switch {
	case m == nil:
		f.unheard = true
		b.stats.Unanswered.Add(1)
	case m.Header.Get("Status") != "":
		f.failure = errNobody
		b.poke()
	case ack.Error != nil:
		b.rejected(t, f, ack.Error)
	case ack.Duplicate:
		f.busy = true
		b.spawn(func(ctx context.Context) { b.duplicate(ctx, t, f, ack.Seq) })
	default:
		t.losses = 0
		f.busy = true
		t.mu.Unlock()
		b.stored(t, f, ack.Seq)
		return true
	}
	t.mu.Unlock()
	return true
}

// rejected notes that a record was not stored. mu is held.
func (b *Broker) rejected(t *topic, f *flight, e *apiError) {
	f.failure = e
	switch e.ErrCode {
	case errCodeTooLarge:
		f.busy = true
		go b.failed(t, f, fmt.Errorf("%w: %w", ErrTooLarge, e))
	case errCodeWrongLast, errCodeLastBusy:
		if f.unheard {
			f.busy = true
			b.spawn(func(ctx context.Context) { b.resolve(ctx, t, f) })
			return
		}
		b.again(t, f)
	}
}

// again has what was not stored, since another process was faster, be put after that. mu is held.
func (b *Broker) again(t *topic, f *flight) {
	b.stats.Conflicts.Add(1)
	t.losses++
	t.queue = append(slices.Clip(f.entries), t.queue...)
	if t.tail.seq == f.after.seq {
		t.known = false
	}
	t.flight = nil
	b.count(-1)
	b.wakeLater(t)
}

// stored tells all whose messages are there.
func (b *Broker) stored(t *topic, f *flight, seq uint64) {
	b.stats.Records.Add(1)
	messages := f.record.messages
	for _, e := range f.entries {
		if e.m == nil {
			b.tell(t, e, channel.Appended{}, nil)
			continue
		}
		b.tell(t, e, channel.Appended{Message: messages[0]}, nil)
		messages = messages[1:]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remember(f.record.messages)
	if !t.known || t.tail.seq == f.after.seq {
		t.tail, t.known = tailOf(&f.record, seq), true
	}
	b.trimLater(t, f.entries[len(f.entries)-1].keep)
	b.land(t)
}

// failed tells all whose messages are not there, or perhaps.
func (b *Broker) failed(t *topic, f *flight, err error) {
	if no := denied(b.nc, `"`+t.subject+`"`); no != nil { // it never came to the stream
		err = no
	}
	for _, e := range f.entries {
		b.tell(t, e, channel.Appended{}, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = false
	b.land(t)
}

// resolve finds out whether a record is there that was sent more than once: it is then what follows what it was put after.
func (b *Broker) resolve(ctx context.Context, t *topic, f *flight) {
	ctx, cancel := context.WithDeadline(ctx, f.deadline)
	defer cancel()
	next, err := b.leaderGet(ctx, getRequest{Seq: f.after.seq + 1, Next: t.subject})
	if err == nil && next.seq == 0 { // not yet: another attempt may be under way
		t.mu.Lock()
		defer t.mu.Unlock()
		f.busy = false
		return
	}
	if err == nil {
		r, bad := next.record()
		if bad == nil && r.id == f.record.id {
			b.stored(t, f, next.seq)
			return
		}
		if bad == nil && r.epoch == f.record.epoch && r.first == f.record.first { // another's is there
			t.mu.Lock()
			defer t.mu.Unlock()
			t.known = false
			b.again(t, f)
			return
		}
	}
	b.failed(t, f, b.uncertain(err))
}

func (b *Broker) uncertain(err error) error {
	b.stats.Uncertain.Add(1)
	if err == nil {
		err = errors.New("what was put there may be gone again")
	}
	return fmt.Errorf("%w: %w: %w", channel.ErrUncertain, ErrAway, err)
}

// denied says that the connection may not do something, if the server has said so last: what is the subject as that has it, between quotes, or
// how it begins.
func denied(nc *nats.Conn, what string) error {
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), what) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return nil
}

// duplicate tells the publisher of a message whose key was that of an earlier one, which is at a sequence of the stream.
func (b *Broker) duplicate(ctx context.Context, t *topic, f *flight, seq uint64) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Timeout)
	defer cancel()
	found, err := b.get(ctx, getRequest{Seq: seq})
	if err != nil {
		b.failed(t, f, b.uncertain(fmt.Errorf("a message with its key is there: %w", err))) // perhaps this one, which was sent before
		return
	}
	var first record
	if found.seq > 0 {
		first, _ = found.record()
	}
	if first.id == f.record.id { // it was sent more than once
		b.stored(t, f, seq)
		return
	}
	at := slices.IndexFunc(f.entries, func(e *entry) bool { return e.m != nil && e.m.Key != "" })
	twin := f.entries[at]
	original := published(twin.m) // where that is not kept any more nobody knows its place
	if i := slices.IndexFunc(first.messages, func(m *channel.Message) bool { return m.Key == twin.m.Key }); i >= 0 {
		original = first.messages[i]
	}
	// Those before it are not there either: they are, before it is told.
	twin.fail(errDuplicate)
	twin.original = original
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(slices.Clip(f.entries), t.queue...)
	t.known = t.known && t.tail.seq != f.after.seq
	b.land(t)
}

// errDuplicate marks an entry whose key was that of an earlier message.
var errDuplicate = errors.New("duplicate")
