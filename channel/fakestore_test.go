package channel

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

var errDisk = errors.New("the disk is full")

// fakeStore is a store in memory whose done comes when the test says so, or by itself, from a goroutine.
type fakeStore struct {
	mu     sync.Mutex
	more   sync.Cond
	saved  map[string]*fakeChannel
	queue  []fakeSave
	handed int // how many messages were
	loads  int
	reads  int
	closed bool
	ended  chan struct{}

	fail func(m *Message) error // whether a message fails
	load func(name string) error
}

type fakeChannel struct {
	epoch    string
	last     uint64
	messages []*Message
}

type fakeSave struct {
	name string
	m    *Message
	keep Keep
	done func(error)
}

// newFakeStore makes a store that saves by itself, in batches.
func newFakeStore(t testing.TB) *fakeStore {
	s := newManualStore()
	s.ended = make(chan struct{})
	go s.run()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newManualStore makes one that saves in step alone.
func newManualStore() *fakeStore {
	s := &fakeStore{saved: make(map[string]*fakeChannel)}
	s.more.L = &s.mu
	return s
}

func (s *fakeStore) run() {
	defer close(s.ended)
	for {
		s.mu.Lock()
		for len(s.queue) == 0 && !s.closed {
			s.more.Wait()
		}
		n := len(s.queue)
		s.mu.Unlock()
		if n == 0 {
			return
		}
		s.step(n)
	}
}

// step ends the saving of the oldest n messages.
func (s *fakeStore) step(n int) {
	s.mu.Lock()
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	errs := make([]error, n)
	for i, e := range batch {
		errs[i] = s.put(e)
	}
	s.mu.Unlock()
	for i, e := range batch {
		e.done(errs[i])
	}
}

func (s *fakeStore) put(e fakeSave) error {
	if s.fail != nil {
		if err := s.fail(e.m); err != nil {
			return err
		}
	}
	c := s.saved[e.name]
	if c == nil || c.epoch != e.m.Epoch {
		c = &fakeChannel{epoch: e.m.Epoch}
	}
	if e.m.Offset != c.last+1 {
		return errors.New("there is a gap")
	}
	s.saved[e.name] = c
	c.last = e.m.Offset
	c.messages = append(c.messages, fromDisk(e.m))
	for len(c.messages) > e.keep.Count || size(c.messages) > e.keep.Bytes {
		c.messages = c.messages[1:]
	}
	for least := len(c.messages) - 1; len(c.messages) > 0 && time.Since(c.messages[0].Time) >= e.keep.Age && (!e.keep.Last || len(c.messages) > least); {
		c.messages = c.messages[1:]
	}
	return nil
}

func size(messages []*Message) (n int64) {
	for _, m := range messages {
		n += m.size()
	}
	return n
}

func fromDisk(m *Message) *Message {
	return &Message{
		Offset: m.Offset, Epoch: m.Epoch, Time: m.Time.Round(0), ID: m.ID, Event: m.Event, Data: slices.Clone(m.Data),
		Binary: m.Binary, User: m.User, Key: m.Key,
	}
}

func (s *fakeStore) Save(name string, m *Message, keep Keep, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handed++
	s.queue = append(s.queue, fakeSave{name, m, keep, done})
	s.more.Signal()
}

func (s *fakeStore) Load(name string, recent Keep) (Saved, error) {
	if s.load != nil {
		if err := s.load(name); err != nil {
			return Saved{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	c := s.saved[name]
	if c == nil {
		return Saved{}, nil
	}
	saved := Saved{Epoch: c.epoch, Offset: c.last, Count: len(c.messages), Bytes: size(c.messages)}
	saved.Recent = slices.Clone(c.messages[max(0, len(c.messages)-recent.Count):])
	for len(saved.Recent) > 0 && size(saved.Recent) > recent.Bytes {
		saved.Recent = saved.Recent[1:]
	}
	return saved, nil
}

func (s *fakeStore) Read(name, epoch string, after uint64, maxBytes int) (messages []*Message, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	c := s.saved[name]
	if c == nil || c.epoch != epoch || len(c.messages) == 0 || after+1 < c.messages[0].Offset || after >= c.last {
		return nil, nil
	}
	for _, m := range c.messages[after+1-c.messages[0].Offset:] {
		if maxBytes -= len(m.Data); maxBytes < 0 && len(messages) > 0 {
			break
		}
		messages = append(messages, m)
	}
	return messages, nil
}

func (s *fakeStore) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	if s.ended != nil {
		<-s.ended
	}
	if again {
		return nil
	}
	return errDisk
}

func (s *fakeStore) counts() (handed, loads, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handed, s.loads, s.reads
}
