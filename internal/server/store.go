package server

import (
	"errors"
	"sync/atomic"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
	"baro.dev/internal/metrics"
)

// storeDoubt is how long a store that has failed is taken for one that does. Then clients are let come again: nothing but what they
// publish shows that it has recovered.
const storeDoubt = 30 * time.Second

// watchedStore is a store whose time is measured, and of which is known whether it fails.
type watchedStore struct {
	channel.Store
	metrics *metrics.Metrics
	failed  atomic.Int64 // when it has last, in nanoseconds since 1970; 0: it has served since
}

func (s *watchedStore) failing() bool {
	at := s.failed.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < storeDoubt
}

// done notes how an operation went.
func (s *watchedStore) done(operation string, begun time.Time, err error) {
	s.metrics.Store(operation, time.Since(begun))
	switch {
	case err == nil:
		if operation == "save" { // a full disk can be read
			s.failed.Store(0)
		}
	case errors.Is(err, channel.ErrInvalid), errors.Is(err, diskstore.ErrTooLarge), errors.Is(err, diskstore.ErrDamaged),
		errors.Is(err, diskstore.ErrOffset), errors.Is(err, diskstore.ErrClosed):
		// It is about one message or one channel.
	default:
		s.failed.Store(time.Now().UnixNano())
	}
}

// Load implements [channel.Store], as do those below.
func (s *watchedStore) Load(name string, recent channel.Keep) (channel.Saved, error) {
	begun := time.Now()
	saved, err := s.Store.Load(name, recent)
	s.done("load", begun, err)
	return saved, err
}

// Save notes how it went before it says so.
func (s *watchedStore) Save(name string, m *channel.Message, keep channel.Keep, done func(error)) {
	begun := time.Now()
	s.Store.Save(name, m, keep, func(err error) {
		s.done("save", begun, err)
		done(err)
	})
}

// Read measures a part of a history.
func (s *watchedStore) Read(name, epoch string, after uint64, maxBytes int) ([]*channel.Message, error) {
	begun := time.Now()
	messages, err := s.Store.Read(name, epoch, after, maxBytes)
	s.done("read", begun, err)
	return messages, err
}
