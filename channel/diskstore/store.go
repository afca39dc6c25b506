package diskstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"baro.dev/channel"
)

// Store is a [channel.Store] in a directory. Make one with [Open]. Everything may be called from any goroutine.
type Store struct {
	options Options
	path    string
	lock    *os.File
	db      *bbolt.DB
	file    *os.File // of db

	// Of the goroutine that writes.
	slab      []byte
	uncertain bool // a commit has failed

	writing sync.Mutex // held during a transaction that writes
	broken  bool       // guarded by writing

	mu      sync.Mutex
	queue   []entry
	queued  int64 // bytes that wait, or are being saved
	failing map[string]*failure
	closed  bool
	wake    chan struct{}
	ended   chan struct{} // closed when all is saved and told
}

var _ channel.Store = (*Store)(nil)

// Open opens the store in dir, and makes both where there are none, for this user alone (0700, 0600). Nil options are the
// defaults. The whole file is read and checked. What of it is damaged is moved aside and told to the logger, and the store
// opened with the rest.
//
// The error is [ErrLocked] or [ErrNewer], or says what keeps the files from being read or written.
func Open(dir string, o *Options) (*Store, error) {
	s := &Store{
		options: o.withDefaults(),
		path:    filepath.Join(dir, fileName),
		failing: make(map[string]*failure),
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("channel/diskstore: %w", err)
	}
	lock, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, wrap(err)
	}
	if err := s.open(); err != nil {
		lock.Close()
		return nil, wrap(err)
	}
	s.lock = lock
	go s.write()
	return s, nil
}

func (s *Store) open() error {
	if err := s.prepare(); err != nil {
		return err
	}
	_, err := guard(func() (err error) {
		s.db, s.file, err = openFile(s.path, s.options.NoSync)
		return err
	})
	return err
}

// openFile opens a file that was checked, or is new.
func openFile(path string, noSync bool) (db *bbolt.DB, file *os.File, err error) {
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        time.Second,
		NoSync:         noSync,
		NoFreelistSync: true, // the list may be long, and would be written with each commit
		FreelistType:   bbolt.FreelistMapType,
		PageSize:       pageSize,
		NoStatistics:   true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			file = f
			return f, err
		},
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		err = fmt.Errorf("%w: %s", ErrLocked, path)
	}
	return db, file, err
}

// wrap has every error say where it is from.
func wrap(err error) error {
	for _, own := range []error{ErrBusy, ErrClosed, ErrLocked, ErrNewer, ErrDamaged, ErrOffset, ErrTooLarge} {
		if errors.Is(err, own) {
			return err
		}
	}
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return fmt.Errorf("channel/diskstore: %w", err)
}

// Load implements [channel.Store].
func (s *Store) Load(name string, recent channel.Keep) (saved channel.Saved, err error) {
	err = s.read(name, func(b *bbolt.Bucket, h *header) error {
		key := headerKey(name)
		now := time.Now().UnixNano()
		saved = channel.Saved{Epoch: h.epoch, Offset: h.last}
		first, bytes := h.first, h.bytes
		for ; first <= h.last; first++ {
			r, err := get(b, key, first)
			if err != nil {
				return err
			}
			if !h.expired(first, r.time, now) {
				break
			}
			bytes -= r.size()
		}
		saved.Count, saved.Bytes = int(h.last+1-first), bytes

		var size int64
		for offset := h.last; offset >= first && len(saved.Recent) < recent.Count; offset-- {
			r, err := get(b, key, offset)
			if err != nil {
				return err
			}
			if size += r.size(); size > recent.Bytes {
				break
			}
			saved.Recent = append(saved.Recent, r.message(offset))
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
		key := headerKey(name)
		now := time.Now().UnixNano()
		for offset := after + 1; offset <= h.last; offset++ {
			r, err := get(b, key, offset)
			if err != nil {
				return err
			}
			if maxBytes -= len(r.data); len(messages) > 0 && maxBytes < 0 {
				return nil
			}
			if len(messages) == 0 && h.expired(offset, r.time, now) {
				return nil
			}
			messages = append(messages, r.message(offset))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return messages, nil
}

func get(b *bbolt.Bucket, key []byte, offset uint64) (record, error) {
	key = messageKey(key, offset)
	return parseRecord(key, b.Get(key))
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

// Close implements [channel.Store]. Closing again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.ended
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	<-s.ended

	s.writing.Lock()
	defer s.writing.Unlock()
	defer s.lock.Close()
	if s.broken {
		return s.file.Close() // bbolt would wait for ever for what panicked
	}
	_, err := guard(s.db.Close)
	return err
}
