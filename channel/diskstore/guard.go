package diskstore

import (
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// bbolt maps the file, believes what it reads there, and panics where that makes no sense; reading what the file has no
// more of, or what the disk cannot give, is a fault. Open has checked the whole file before, so that this is about files
// that are damaged while they are in use.

// guard runs f, and makes of its panics and faults an error, which is [ErrDamaged].
func guard(f func() error) (panicked bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			panicked, err = true, fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return false, f()
}

// view runs f, which sees all channels as they are at a moment.
func (s *Store) view(f func(b *bbolt.Bucket) error) error {
	_, err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error { return f(tx.Bucket(channelsBucket)) })
	})
	return err
}

// update runs f and commits what it did, or nothing of it. After a panic there are no further updates: what is in memory
// cannot be trusted. Not by bbolt's own Update, which after a panic would read the whole file from another goroutine.
func (s *Store) update(f func(b *bbolt.Bucket) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.broken {
		return fmt.Errorf("%w; it is repaired when the store is opened again", ErrDamaged)
	}
	panicked, err := guard(func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return err
		}
		if err := f(tx.Bucket(channelsBucket)); err != nil {
			_ = tx.Rollback() // cannot fail
			return err
		}
		return tx.Commit()
	})
	s.broken = panicked
	return err
}
