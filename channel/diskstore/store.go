package diskstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"baro.dev/channel"
	"baro.dev/internal/filelock"
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
	lock, err := filelock.Acquire(filepath.Join(dir, lockName))
	if held := (*filelock.HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
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
