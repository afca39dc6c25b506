package channel

import "time"

// KeyAge is for how long an idempotency key is remembered, as long as it is one of the last [MaxKeys] of its channel and
// the channel does not have to make room for others.
const KeyAge = 5 * time.Minute

// MaxKeys is how many idempotency keys a channel remembers.
const MaxKeys = 10_000

// keys is the idempotency keys of a channel's messages.
type keys struct {
	known map[string]*keyed
	order []*keyed // oldest first
	bytes int64
}

// keyed is what is remembered of a message with a key: not its data, which may be long.
type keyed struct {
	key      string
	id       string
	position Position
	time     time.Time
	pending  *pending // while the store has not saved it
}

// keyOverhead is about what a key takes beside its own bytes.
const keyOverhead = 200

func (k *keyed) size() int64 { return int64(len(k.key) + len(k.id) + keyOverhead) }

// find gives what is remembered of the message with a key; nil where that is nothing.
func (k *keys) find(key string, now time.Time) *keyed {
	if k == nil {
		return nil
	}
	if e := k.known[key]; e != nil && now.Sub(e.time) < KeyAge && !(e.pending != nil && e.pending.failed()) {
		return e
	}
	return nil
}

// end says that a message is no longer pending: it is published, or has failed, and its key is free again.
func (k *keys) end(p *pending) {
	if k == nil || p.message.Key == "" {
		return
	}
	e := k.known[p.message.Key]
	switch {
	case e == nil || e.pending != p:
	case p.failed():
		delete(k.known, e.key)
	default:
		e.pending = nil
	}
}

// add remembers the key of m. m is pending while p is, which may be nil.
func (k *keys) add(m *Message, p *pending) {
	for len(k.order) >= MaxKeys {
		k.dropOldest()
	}
	e := &keyed{key: m.Key, id: m.ID, position: m.Position(), time: m.Time, pending: p}
	k.known[e.key] = e
	k.order = append(k.order, e)
	k.bytes += e.size()
}

func (k *keys) dropOldest() {
	e := k.order[0]
	k.order[0] = nil
	k.order = k.order[1:]
	k.bytes -= e.size()
	if k.known[e.key] == e {
		delete(k.known, e.key)
	}
}

func (k *keys) trim(now time.Time) {
	for len(k.order) > 0 && now.Sub(k.order[0].time) >= KeyAge {
		k.dropOldest()
	}
}
