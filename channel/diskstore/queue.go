package diskstore

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"baro.dev/channel"
)

// What goes into one transaction, at most.
const (
	maxBatch      = 4096
	maxBatchBytes = 4 << 20
)

// entry is a message that waits to be saved, or for its publisher to be told that it is not.
type entry struct {
	name string
	m    *channel.Message // nil where it has failed
	keep channel.Keep
	done func(error)
	size int64

	err     error
	failure *failure
}

// failure is that a message of a channel was not saved: those after it are not either, until all were told, or the
// channel comes back to the offset of the first.
type failure struct {
	epoch  string
	offset uint64 // of the first
	err    error
	untold int
}

// Save implements [channel.Store]. The error that done is given is [ErrBusy], [ErrClosed], [ErrTooLarge], [ErrDamaged], or
// what the disk said.
func (s *Store) Save(name string, m *channel.Message, keep channel.Keep, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go done(ErrClosed) // the hub may hold what done wants
		return
	}
	e := entry{name: name, m: m, keep: keep, done: done, size: messageSize(m)}
	f := s.failing[name]
	if f != nil && !f.follows(m) { // the channel has come back
		delete(s.failing, name)
		f = nil
	}
	if f != nil {
		e.fail(f)
	} else if err := s.refuse(&e); err != nil {
		e.fail(s.failed(name, m, err))
	} else {
		s.queued += e.size
	}
	s.queue = append(s.queue, e)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// refuse says what keeps a message from being saved.
func (s *Store) refuse(e *entry) error {
	switch {
	case !validName(e.name):
		return &channel.InvalidError{What: "channel name", Reason: "it cannot be saved"}
	case e.m.Offset == 0:
		return &channel.InvalidError{What: "message", Reason: "it has no offset"}
	case e.size > maxMessageBytes:
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, e.size, maxMessageBytes)
	case s.queued > 0 && s.queued+e.size > s.options.MaxQueueBytes:
		return fmt.Errorf("%w: %d bytes of %d", ErrBusy, s.queued, s.options.MaxQueueBytes)
	}
	return nil
}

// failed begins a failure. The caller holds s.mu.
func (s *Store) failed(name string, m *channel.Message, err error) *failure {
	f := &failure{epoch: m.Epoch, offset: m.Offset, err: err}
	s.failing[name] = f
	return f
}

func (f *failure) follows(m *channel.Message) bool {
	return m.Epoch == f.epoch && m.Offset > f.offset
}

// fail makes e one that is to be told.
func (e *entry) fail(f *failure) {
	e.err, e.failure = f.err, f
	if e.m.Offset != f.offset {
		e.err = fmt.Errorf("message %d was not saved, %d before it was not: %w", e.m.Offset, f.offset, f.err)
	}
	e.m = nil
	f.untold++
}

// write is the goroutine that writes, sweeps, and tells. It ends when the store is closed and nothing waits.
func (s *Store) write() {
	defer close(s.ended)
	ticker := time.NewTicker(s.options.SweepEvery)
	defer ticker.Stop()
	sweep := sweep{store: s}
	for {
		batch, closed := s.next()
		if len(batch) > 0 {
			if err := s.commit(batch); err != nil {
				s.options.Logger.Error("channels are not saved", "file", s.path, "err", err)
				s.failBatch(batch, err)
				s.uncertain = true
			}
			s.tell(batch)
		} else if closed {
			return
		}
		if sweep.under {
			sweep.step()
		}
		if len(batch) > 0 || sweep.under {
			select {
			case <-ticker.C:
				sweep.begin()
			default:
			}
			continue
		}
		select {
		case <-s.wake:
		case <-ticker.C:
			sweep.begin()
		}
	}
}

// next takes what waits, up to the bounds of a transaction.
func (s *Store) next() (batch []entry, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(s.queue) && n < maxBatch && (n == 0 || size+s.queue[n].size <= maxBatchBytes) {
		size += s.queue[n].size
		n++
	}
	batch = s.queue[:n:n]
	s.queue = s.queue[n:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
	return batch, s.closed
}

// commit saves what of batch has not failed.
func (s *Store) commit(batch []entry) error {
	var slab []byte
	defer func() {
		if cap(slab) <= 2*maxBatchBytes {
			s.slab = slab
		}
	}()
	some := false
	for i := range batch {
		some = some || batch[i].m != nil
	}
	if !some {
		return nil
	}
	return s.update(func(b *bbolt.Bucket) error {
		t := newTransaction(b)
		t.slab, t.uncertain = s.slab[:0], s.uncertain
		defer func() { slab = t.slab }()
		for i := range batch {
			e := &batch[i]
			if e.m == nil {
				continue
			}
			err := t.save(e.name, e.m, e.keep)
			if errors.Is(err, ErrOffset) {
				s.failRest(batch[i:], err)
			} else if err != nil {
				return err
			}
		}
		return t.finish()
	})
}

// failRest has the first of batch fail, and with it what follows it in its channel.
func (s *Store) failRest(batch []entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := batch[0].name
	f := s.failed(name, batch[0].m, err)
	s.queued -= batch[0].size
	batch[0].fail(f)
	for _, entries := range [][]entry{batch[1:], s.queue} {
		for i := range entries {
			if e := &entries[i]; e.name == name {
				s.failFollowing(e, f)
			}
		}
	}
}

// failFollowing has e fail if it follows what has failed.
func (s *Store) failFollowing(e *entry, f *failure) {
	if e.m != nil && f.follows(e.m) {
		s.queued -= e.size
		e.fail(f)
	}
}

// failBatch has batch fail, and with it what waits of its channels.
func (s *Store) failBatch(batch []entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failures := make(map[string]*failure)
	for i := range batch {
		e := &batch[i]
		if e.m == nil {
			continue
		}
		f := failures[e.name]
		if f == nil || !f.follows(e.m) {
			f = s.failed(e.name, e.m, err)
			failures[e.name] = f
		}
		s.queued -= e.size
		e.fail(f)
	}
	for i := range s.queue {
		if f := failures[s.queue[i].name]; f != nil {
			s.failFollowing(&s.queue[i], f)
		}
	}
}

// tell calls done for each of batch. Whoever is told may save at once: what was told takes no room, and fails nothing.
func (s *Store) tell(batch []entry) {
	for i := range batch {
		s.told(&batch[i])
		batch[i].done(batch[i].err)
	}
	clear(batch) // the queue may go on in the same array
}

// told is called before e is told.
func (s *Store) told(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.m != nil {
		s.queued -= e.size
	} else if e.failure.untold--; e.failure.untold == 0 && s.failing[e.name] == e.failure {
		delete(s.failing, e.name)
	}
}
