package natsbroker

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"baro.dev/channel"
)

// A tail is where a channel ends: what the next record is put after.
type tail struct {
	seq   uint64 // in the stream, of the last message of the subject; 0: there is none
	id    uint64 // of the last record
	epoch string // ""; nothing is there that can be gone on from
	end   uint64 // offset of the last message
	total uint64 // bytes of all messages, in this life
	ttl   uint64
	time  int64
	marks [len(steps)]mark
}

// tailOf is the tail of a channel whose last record is r, at a sequence of the stream.
func tailOf(r *record, seq uint64) tail {
	t := tail{seq: seq, id: r.id, epoch: r.epoch, end: r.end(), total: r.total, ttl: r.ttl, time: r.time, marks: r.marks}
	for _, m := range r.messages {
		t.total += uint64(messageSize(m))
	}
	for i, step := range steps {
		if len(r.messages) > 0 && t.end/step != (r.first-1)/step {
			t.marks[i] = mark{seq: seq, offset: r.first}
		}
	}
	return t
}

// forgotten says whether the stream, where the channel ends with end, has lost the record that t was: after a power loss, for instance.
// What comes after end would be given offsets that others have had.
func (t *tail) forgotten(end *tail) bool {
	return t.epoch != "" && end.epoch == t.epoch && end.id != t.id && (end.seq <= t.seq || end.end < t.end)
}

// outlive is for how many seconds a record is to be there that is put after t at a time, so that no older one is the last when it
// goes: that one's offsets were given away.
func (t *tail) outlive(ttl uint64, now int64) uint64 {
	switch {
	case t.epoch == "" || ttl == 0:
		return ttl
	case t.ttl == 0:
		return 0
	}
	passed := uint64(max(now-t.time, 0)) / uint64(time.Second)
	return max(ttl, t.ttl-min(passed, t.ttl))
}

// next is a record after t, with the messages, at a time.
func (t *tail) next(messages []*channel.Message, ttl time.Duration, now time.Time) record {
	r := record{id: newID(), epoch: t.epoch, first: t.end + 1, total: t.total, time: max(now.UnixNano(), t.time), marks: t.marks,
		ttl: uint64((ttl + time.Second - 1) / time.Second), messages: messages}
	r.ttl = t.outlive(r.ttl, r.time)
	if t.epoch == "" {
		r.epoch, r.first, r.total, r.marks = newEpoch(), 1, 0, [len(steps)]mark{}
	}
	for i, m := range messages {
		r.stamp(m, i)
	}
	return r
}

// newEpoch makes a word of 65 random bits: two lives of one channel never share it.
func newEpoch() string { return rand.Text()[:13] }

func newID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return binary.LittleEndian.Uint64(b[:])
}

// published is m as it is told of, without the place that the broker gives it. It shares the data.
func published(m *channel.Message) *channel.Message {
	return &channel.Message{ID: m.ID, Event: m.Event, Data: m.Data, Binary: m.Binary, Exclude: m.Exclude, User: m.User, Key: m.Key, Sender: m.Sender}
}
