package diskstore

import (
	"math"
	"time"

	"go.etcd.io/bbolt"

	"baro.dev/channel"
)

// What a step of a sweep does, at most.
const (
	sweepChannels = 1000 // looked at
	sweepMessages = 4096 // dropped
)

// sweep drops what is past its age, and forgets the channels of which nothing is left, in steps between which messages
// are saved.
type sweep struct {
	store *Store
	under bool   // under way
	from  []byte // the key that the next step begins at
}

func (s *sweep) begin() {
	if !s.under {
		s.under, s.from = true, nil
	}
}

// step looks at some channels. What cannot be read is left to who reads it.
func (s *sweep) step() {
	now := time.Now().UnixNano()
	var due []string
	err := s.store.view(func(b *bbolt.Bucket) error {
		c := b.Cursor()
		key, value := c.Seek(s.from)
		for range sweepChannels {
			if key == nil {
				s.under = false
				return nil
			}
			name, offset, ok := splitKey(key)
			if !ok {
				s.under = false
				return nil
			}
			if h, err := parseHeader(key, value); offset == 0 && err == nil && h.due(now) {
				due = append(due, string(name))
			}
			s.from = afterKey(string(name))
			key, value = c.Seek(s.from)
		}
		return nil
	})
	if err == nil && len(due) > 0 {
		err = s.store.update(func(b *bbolt.Bucket) error { return sweepDue(newTransaction(b), due) })
	}
	if err != nil {
		s.under = false
		s.store.options.Logger.Error("channels are not swept", "file", s.store.path, "err", err)
	}
}

// due says whether a sweep has something to do.
func (h *header) due(now int64) bool {
	if h.age <= 0 {
		return false
	}
	return h.published(h.last, h.newest) > now || h.forgotten(now) || (h.count() > 0 && h.expired(h.first, h.oldest, now))
}

func sweepDue(t *transaction, due []string) error {
	left := sweepMessages
	for _, name := range due {
		h, err := t.header(name)
		if err != nil || h == nil {
			continue
		}
		if h.published(h.last, h.newest) > t.now {
			// The clock was set back since.
			h.stepped, h.steppedAt = h.last+1, t.now
		}
		n, err := t.trim(headerKey(name), h, channel.Keep{Count: math.MaxInt, Bytes: math.MaxInt64}, left)
		if err != nil {
			return err
		}
		left -= n
		if h.forgotten(t.now) {
			if err := t.forget(name); err != nil {
				return err
			}
		}
	}
	return t.finish()
}
