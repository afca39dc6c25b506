package diskstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"baro.dev/channel"
)

// Load implements [channel.Store].
func (s *Store) Load(name string, recent channel.Keep) (saved channel.Saved, err error) {
	err = s.read(name, func(b *bbolt.Bucket, h *header) error {
		now := time.Now().UnixNano()
		saved = channel.Saved{Epoch: h.epoch, Offset: h.last}
		first, kept := h.first, h.bytes
		for c := at(b, name, first); first <= h.last; first++ {
			r, err := c.record(first)
			if err != nil {
				return err
			}
			if !h.expired(first, r.time, now) {
				break
			}
			kept -= r.size()
			c.next()
		}
		saved.Count, saved.Bytes = int(h.last+1-first), kept

		var size int64
		offset := h.last
		for c := at(b, name, offset); offset >= first && len(saved.Recent) < recent.Count; offset-- {
			r, err := c.record(offset)
			if err != nil {
				return err
			}
			if size += r.size(); size > recent.Bytes {
				break
			}
			saved.Recent = append(saved.Recent, r.message(h.epoch))
			c.previous()
		}
		slices.Reverse(saved.Recent)
		return nil
	})
	if err != nil {
		return channel.Saved{}, err
	}
	return saved, nil
}

// Read implements [channel.Store].
func (s *Store) Read(name, epoch string, after uint64, maxBytes int) (messages []*channel.Message, err error) {
	err = s.read(name, func(b *bbolt.Bucket, h *header) error {
		messages = nil
		if h.epoch != epoch || after+1 < h.first || after >= h.last {
			return nil
		}
		now := time.Now().UnixNano()
		c := at(b, name, after+1)
		for offset := after + 1; offset <= h.last; offset++ {
			r, err := c.record(offset)
			if err != nil {
				return err
			}
			if maxBytes -= len(r.data); len(messages) > 0 && maxBytes < 0 {
				return nil
			}
			if len(messages) == 0 && h.expired(offset, r.time, now) {
				return nil
			}
			messages = append(messages, r.message(h.epoch))
			c.next()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return messages, nil
}

// cursor is at a message.
type cursor struct {
	*bbolt.Cursor
	want       []byte
	key, value []byte
}

func at(b *bbolt.Bucket, name string, offset uint64) *cursor {
	c := &cursor{Cursor: b.Cursor(), want: messageKey(headerKey(name), offset)}
	c.key, c.value = c.Seek(c.want)
	return c
}

func (c *cursor) next()     { c.key, c.value = c.Next() }
func (c *cursor) previous() { c.key, c.value = c.Prev() }

// record is the message there, which must have this offset.
func (c *cursor) record(offset uint64) (record, error) {
	c.want = messageKey(c.want, offset)
	if !bytes.Equal(c.key, c.want) {
		return record{}, fmt.Errorf("%w: message %d is not there", ErrDamaged, offset)
	}
	return parseRecord(c.key, c.value)
}

// recordError is that a record is damaged, and the file for the rest is not.
type recordError struct{ error }

func (e recordError) Unwrap() error { return e.error }

// read calls f with the header of a channel, unless there is none. Where the channel turns out to be damaged it is
// mended, and f called again.
func (s *Store) read(name string, f func(*bbolt.Bucket, *header) error) error {
	look := func() error {
		return s.view(func(b *bbolt.Bucket) error {
			key := headerKey(name)
			value := b.Get(key)
			if value == nil {
				return nil
			}
			h, err := parseHeader(key, value)
			if err == nil {
				err = f(b, &h)
			}
			if errors.Is(err, ErrDamaged) {
				return recordError{err}
			}
			return err
		})
	}
	err := look()
	if errors.As(err, new(recordError)) {
		if err = s.mend(name, err); err == nil {
			err = look()
		}
	}
	if err != nil {
		return wrap(err)
	}
	return nil
}

// mend drops what of a channel is damaged, and everything older.
func (s *Store) mend(name string, why error) error {
	dropped := -1 // not known
	err := s.update(func(b *bbolt.Bucket) error {
		t := newTransaction(b)
		h, err := t.header(name)
		if err != nil {
			return t.forget(name)
		}
		if h == nil {
			return nil
		}
		before := h.count()
		if err := t.recount(headerKey(name), h); err != nil {
			return err
		}
		dropped = before - h.count()
		return t.finish()
	})
	if err == nil {
		s.options.Logger.Warn("a channel was damaged", "file", s.path, "channel", name, "err", why, "messages_dropped", dropped)
	}
	return err
}
