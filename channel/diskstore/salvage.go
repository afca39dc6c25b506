package diskstore

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"
)

// salvagedAge is how long a channel is kept whose header is lost, unless it is published to.
const salvagedAge = 24 * time.Hour

// maxLogged bounds how many channels are named one by one.
const maxLogged = 20

// salvage is the copying of what can be read of a file into a new one. What there is of a channel is trusted as far as it
// adds up: it keeps the messages from the last damage on. It begins a new epoch where nobody can say what its newest
// message was, since there must not be two messages of one position.
type salvage struct {
	from *contents
	to   *bbolt.DB
	log  *slog.Logger

	tx      *transaction
	written int // in this transaction, bytes
	err     error

	// Of the channel being copied.
	name   string
	key    []byte
	known  bool   // the header is
	header        // as it was, or as it is made up
	run    header // what was copied without a gap
	beyond bool   // there are messages after the last

	channels, messages, lostChannels, lostMessages, newEpochs, logged int
}

// copyAll copies all that can be read. The error is of the new file.
func (s *salvage) copyAll() error {
	if s.from.channels == nil {
		return nil
	}
	clear(s.from.seen)
	s.from.each(s.from.root, func(element) {}) // its pages are not the channels'
	s.from.bucket(s.from.channels, s.element)
	s.end()
	return errors.Join(s.err, s.commit())
}

func (s *salvage) element(e element) {
	name, offset, ok := splitKey(e.key)
	if s.err != nil || !ok || e.bucket {
		return
	}
	if string(name) != s.name {
		s.end()
		s.begin(string(name))
		if offset == 0 {
			if h, err := parseHeader(e.key, e.value); err == nil {
				s.known, s.header = true, h
			}
		}
		s.run = header{epoch: s.epoch, age: s.age, flags: s.flags, stepped: s.stepped, steppedAt: s.steppedAt}
		if !s.known || s.from.doubtful {
			s.run.epoch = rand.Text()[:13]
		}
		if !s.known {
			s.run.age = salvagedAge
		}
	}
	if offset == 0 {
		return
	}
	r, err := parseRecord(e.key, e.value)
	switch {
	case err != nil || (s.known && (string(r.epoch) != s.epoch || offset < s.first)):
		s.drop()
		s.lostMessages++
		return
	case s.known && offset > s.last:
		s.beyond = true
		return
	case s.run.first != 0 && (offset != s.run.last+1 || string(r.epoch) != s.epoch):
		s.drop()
	}
	s.copy(&r, offset)
}

func (s *salvage) begin(name string) {
	s.err = errors.Join(s.err, s.open())
	s.name, s.key, s.known, s.beyond, s.header, s.run = name, headerKey(name), false, false, header{}, header{}
}

func (s *salvage) copy(r *record, offset uint64) {
	if s.err = s.open(); s.err != nil {
		return
	}
	if s.run.first == 0 {
		s.run.first, s.run.oldest, s.epoch = offset, r.time, string(r.epoch)
	}
	s.run.last, s.run.newest = offset, r.time
	s.run.bytes += r.size()
	s.key = messageKey(s.key, offset)
	c := *r
	c.explicit()
	c.epoch = []byte(s.run.epoch)
	value := c.append(nil, s.key)
	s.err = s.tx.b.Put(s.key, value)
	s.written += len(s.key) + len(value)
}

// drop drops what was copied of the channel.
func (s *salvage) drop() {
	if s.run.first == 0 {
		return
	}
	s.lostMessages += s.run.count()
	if s.err = errors.Join(s.err, s.open()); s.err == nil {
		s.err = s.tx.dropAll(s.key, &s.run)
	}
	s.run.first, s.run.bytes, s.run.oldest = 0, 0, 0
}

// end writes the header of the channel.
func (s *salvage) end() {
	if s.name == "" || s.err != nil {
		return
	}
	defer func() { s.name = "" }()
	before := s.lostMessages
	if s.beyond || (s.known && s.run.last != s.last) {
		s.drop()
	}
	if s.beyond || (!s.known && s.run.first == 0) {
		s.lostChannels++
		s.tell("dropped", before)
		return
	}
	kept := 0
	if s.run.first != 0 {
		kept = s.run.count()
	} else {
		s.run.first = s.last + 1
	}
	if s.known {
		s.run.last, s.run.newest = s.last, s.newest
		s.lostMessages = before + s.count() - kept
	}
	s.channels++
	s.messages += kept
	if s.run.epoch != s.epoch {
		s.newEpochs++
	}
	if s.lostMessages > before || s.run.epoch != s.epoch {
		s.tell("kept in part", before)
	}
	key := headerKey(s.name)
	if s.err = s.open(); s.err == nil {
		s.err = s.tx.b.Put(key, s.run.append(nil, key))
	}
}

func (s *salvage) tell(what string, before int) {
	if s.logged++; s.logged <= maxLogged && s.log != nil {
		s.log.Warn("a channel was damaged", "channel", s.name, "it is", what, "messages_dropped", s.lostMessages-before,
			"new_epoch", s.run.epoch != s.epoch)
	}
}

// open sees that there is a transaction, and that it does not get too large.
func (s *salvage) open() error {
	if s.tx != nil && s.written < maxBatchBytes {
		return nil
	}
	if err := s.commit(); err != nil {
		return err
	}
	tx, err := s.to.Begin(true)
	if err != nil {
		return err
	}
	s.tx, s.written = newTransaction(tx.Bucket(channelsBucket)), 0
	return nil
}

func (s *salvage) commit() error {
	if s.tx == nil {
		return nil
	}
	tx := s.tx.b.Tx()
	s.tx = nil
	return tx.Commit()
}
