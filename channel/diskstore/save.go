package diskstore

import (
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"baro.dev/channel"
)

// transaction is what is done to channels in one transaction. Their headers are read once, and written at its end.
type transaction struct {
	b       *bbolt.Bucket
	headers map[string]*header
	now     int64
	// A commit failed before, but may have come through: what is saved may be newer than what the hub knows.
	uncertain bool
	slab      []byte // what the records are made in; bbolt reads them until the transaction ends
}

func newTransaction(b *bbolt.Bucket) *transaction {
	return &transaction{b: b, headers: make(map[string]*header), now: time.Now().UnixNano()}
}

// header gives the header of a channel, nil where there is none. One that cannot be read is ErrDamaged.
func (t *transaction) header(name string) (*header, error) {
	if h := t.headers[name]; h != nil {
		return h, nil
	}
	key := headerKey(name)
	value := t.b.Get(key)
	if value == nil {
		return nil, nil
	}
	h, err := parseHeader(key, value)
	if err != nil {
		return nil, err
	}
	t.headers[name] = &h
	return &h, nil
}

// save puts m into its channel, as the newest message, and drops what is beyond keep. Where it is [ErrOffset] nothing was
// done.
func (t *transaction) save(name string, m *channel.Message, keep channel.Keep) error {
	h, err := t.header(name)
	if err != nil {
		// Nothing is known of the channel but this message.
		if err := t.forget(name); err != nil {
			return err
		}
	}
	key := headerKey(name)
	if h != nil && h.epoch == m.Epoch && m.Offset <= h.last && t.uncertain {
		if err := t.dropNewest(key, h, m.Offset); err != nil {
			return err
		}
	}
	if h != nil && h.epoch == m.Epoch && m.Offset != h.last+1 {
		return fmt.Errorf("%w: it has the offset %d, the newest saved %d", ErrOffset, m.Offset, h.last)
	}
	if h == nil || h.epoch != m.Epoch {
		if h != nil { // another life
			if err := t.dropAll(key, h); err != nil {
				return err
			}
		}
		h = &header{epoch: m.Epoch, first: m.Offset, last: m.Offset - 1}
		t.headers[name] = h
	}

	at := m.Time.UnixNano()
	if at < h.newest {
		h.stepped, h.steppedAt = m.Offset, at
	}
	if h.count() == 0 {
		h.oldest = at
	}
	h.last, h.newest = m.Offset, at
	h.keep(keep)
	h.bytes += messageSize(m)
	key = messageKey(key, m.Offset)
	from := len(t.slab)
	t.slab = appendRecord(t.slab, key, m)
	if err := t.b.Put(key, t.slab[from:len(t.slab):len(t.slab)]); err != nil {
		return err
	}
	_, err = t.trim(key, h, keep, math.MaxInt)
	return err
}

// trim drops the oldest messages that are beyond keep, at most limit of them, and says how many that were. Key is one of
// the channel, and is overwritten.
func (t *transaction) trim(key []byte, h *header, keep channel.Keep, limit int) (dropped int, err error) {
	var oldest record
	known, trusted := false, true
	for dropped < limit && h.trimming(keep, t.now) {
		key = messageKey(key, h.first)
		if !known {
			oldest, err = parseRecord(key, t.b.Get(key))
			trusted = trusted && err == nil
		}
		h.bytes -= oldest.size()
		if err := t.b.Delete(key); err != nil {
			return dropped, err
		}
		dropped++
		h.first++
		known = false
		if h.count() > 0 {
			key = messageKey(key, h.first)
			oldest, err = parseRecord(key, t.b.Get(key))
			known = err == nil
			h.oldest = oldest.time
		}
	}
	if h.count() == 0 {
		h.bytes, h.oldest = 0, 0
	} else if !trusted {
		return dropped, t.recount(key, h)
	}
	return dropped, nil
}

// dropAll drops all messages, but not the header.
func (t *transaction) dropAll(key []byte, h *header) error {
	for offset := h.first; offset <= h.last; offset++ {
		if err := t.b.Delete(messageKey(key, offset)); err != nil {
			return err
		}
	}
	h.first, h.bytes, h.oldest = h.last+1, 0, 0
	return nil
}

// dropNewest drops the messages from an offset on.
func (t *transaction) dropNewest(key []byte, h *header, from uint64) error {
	if from < h.first {
		return t.dropAll(key, h)
	}
	for offset := from; offset <= h.last; offset++ {
		if err := t.b.Delete(messageKey(key, offset)); err != nil {
			return err
		}
	}
	h.last = from - 1
	return t.recount(key, h)
}

// recount keeps of the messages those up to the newest that can be read without a gap, and makes the header right.
func (t *transaction) recount(key []byte, h *header) error {
	bytes, oldest, first := int64(0), int64(0), h.last+1
	for offset := h.last; offset >= h.first; offset-- {
		k := messageKey(key, offset)
		r, err := parseRecord(k, t.b.Get(k))
		if err != nil || string(r.epoch) != h.epoch {
			break
		}
		first, oldest = offset, r.time
		bytes += r.size()
	}
	for offset := h.first; offset < first; offset++ {
		if err := t.b.Delete(messageKey(key, offset)); err != nil {
			return err
		}
	}
	h.first, h.oldest, h.bytes = first, oldest, bytes
	return nil
}

// forget drops whatever there is of a channel.
func (t *transaction) forget(name string) error {
	delete(t.headers, name)
	c := t.b.Cursor()
	end := string(afterKey(name))
	for k, _ := c.Seek(headerKey(name)); k != nil && string(k) < end; k, _ = c.Seek(headerKey(name)) {
		if err := t.b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the headers.
func (t *transaction) finish() error {
	for name, h := range t.headers {
		key := headerKey(name)
		if err := t.b.Put(key, h.append(nil, key)); err != nil {
			return err
		}
	}
	return nil
}
