package diskstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// The files of a store.
const (
	fileName = "channels.db"
	newName  = "channels.db.new" // being written: what is there is of no use, unless the file itself is not there
	lockName = "lock"
)

// A file of which more is free than this many bytes, and than three quarters, is written anew when it is opened: bbolt
// reuses what is free, but never gives it back.
const maxFree = 64 << 20

// prepare sees that there is a file that bbolt can open safely.
func (s *Store) prepare() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		// Where the process ended between moving a damaged file aside and putting the new one in its place, that one is whole.
		if isWhole(s.newPath()) {
			return s.take()
		}
		if err := s.writeNew(nil); err != nil {
			return err
		}
		return s.take()
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file", s.path)
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := readContents(f)
	if err != nil {
		return err
	}
	err = c.check()
	switch {
	case errors.Is(err, ErrNewer):
		return fmt.Errorf("%w: %s", err, s.path)
	case err != nil:
		return s.repair(c, f)
	}
	if free := c.size - c.used*pageSize; free > maxFree && free > c.size/4*3 {
		return s.compact(c, f)
	}
	return nil
}

func (s *Store) newPath() string { return filepath.Join(filepath.Dir(s.path), newName) }

func isWhole(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	c, err := readContents(f)
	return err == nil && c.check() == nil
}

// writeNew makes the new file, with what fill puts there.
func (s *Store) writeNew(fill func(db *bbolt.DB) error) error {
	if err := os.Remove(s.newPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, _, err := openFile(s.newPath(), true)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		about, err := tx.CreateBucket(aboutBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(channelsBucket); err != nil {
			return err
		}
		return about.Put(formatKey, binary.AppendUvarint(nil, formatVersion))
	})
	if err == nil && fill != nil {
		err = fill(db)
	}
	if err == nil {
		err = db.Sync()
	}
	return errors.Join(err, db.Close())
}

// take gives the new file its name.
func (s *Store) take() error {
	if err := os.Rename(s.newPath(), s.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func (s *Store) compact(c *contents, f *os.File) error {
	copying := salvage{from: c}
	if err := s.writeNew(func(db *bbolt.DB) error {
		copying.to = db
		return copying.copyAll()
	}); err != nil {
		// It is as good as it was, and there may be no room for another.
		s.options.Logger.Warn("the file of the channels is mostly free, but could not be written anew", "file", s.path, "err", err)
		return nil
	}
	f.Close() // some systems do not rename what is open
	return s.take()
}

// repair moves the damaged file aside, and puts one in its place with what can be read.
func (s *Store) repair(c *contents, f *os.File) error {
	why, unreadable := c.err, c.unreadable
	log := s.options.Logger
	copying := salvage{from: c, log: log}
	if err := s.writeNew(func(db *bbolt.DB) error {
		copying.to = db
		return copying.copyAll()
	}); err != nil {
		return fmt.Errorf("%s cannot be repaired (%w): %w", s.path, why, err)
	}
	f.Close()
	aside, err := s.aside()
	if err != nil {
		return err
	}
	if err := os.Rename(s.path, aside); err != nil {
		return err
	}
	if err := s.take(); err != nil {
		return err
	}
	log.Error("the file of the channels was damaged; what could be read was saved, the rest dropped", "file", s.path, "kept_as", aside, "err", why,
		"places_damaged", unreadable, "channels", copying.channels, "channels_dropped", copying.lostChannels,
		"messages", copying.messages, "messages_dropped", copying.lostMessages, "new_epochs", copying.newEpochs)
	return nil
}

// aside is a name for a damaged file that nothing has yet.
func (s *Store) aside() (string, error) {
	base := s.path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000Z")
	for i := range 1000 {
		name := base
		if i > 0 {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s: there are too many of its kind", base)
}
