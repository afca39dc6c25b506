package brokertest

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"baro.dev/channel"
)

// A Log is channels in memory that brokers share, which [Log.Open] makes: each as for one process of a cluster.
type Log struct {
	mu       sync.Mutex
	channels map[string]*kept
	brokers  map[*Broker]bool
}

// kept is a channel of the log.
type kept struct {
	epoch    string
	offset   uint64
	messages []*channel.Message
	keys     map[string]*channel.Message
}

// NewLog makes a log that has nothing.
func NewLog() *Log {
	return &Log{channels: make(map[string]*kept), brokers: make(map[*Broker]bool)}
}

// Empty has the log lose everything, as a server does that keeps nothing on disk and begins again; who follows a channel is told.
func (l *Log) Empty() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.channels)
	for b := range l.brokers {
		for name, f := range b.follows {
			f.lose(l.of(name).saved(channel.Keep{Count: 1, Bytes: 1}))
		}
		b.work.Broadcast()
	}
}

// Forget drops the messages of a channel, and not how far it has come.
func (l *Log) Forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(name).messages = nil
}

// of is the channel called name, which is made if need be. l.mu is held, as in all that follows.
func (l *Log) of(name string) *kept {
	c := l.channels[name]
	if c == nil {
		c = &kept{epoch: rand.Text()[:13], keys: make(map[string]*channel.Message)}
		l.channels[name] = c
	}
	return c
}

func (l *Log) append(name string, m *channel.Message, keep channel.Keep) channel.Appended {
	c := l.of(name)
	now := time.Now().Round(0)
	if first := c.keys[m.Key]; m.Key != "" && first != nil && now.Sub(first.Time) < channel.KeyAge {
		return channel.Appended{Message: first, Duplicate: true}
	}
	c.offset++
	put := &channel.Message{
		Offset: c.offset, Epoch: c.epoch, Time: now, ID: m.ID, Event: m.Event, Data: m.Data, Binary: m.Binary,
		Exclude: m.Exclude, User: m.User, Key: m.Key, Sender: m.Sender,
	}
	if put.ID == "" {
		put.ID = put.Position().String()
	}
	if put.Key != "" {
		c.keys[put.Key] = put
	}
	c.messages = append(c.messages, put)
	c.trim(keep, now)
	for b := range l.brokers {
		if f := b.follows[name]; f != nil {
			b.feed(f, put)
		}
	}
	return channel.Appended{Message: put}
}

func (c *kept) trim(keep channel.Keep, now time.Time) {
	least := 0
	if keep.Last {
		least = 1
	}
	for len(c.messages) > least &&
		(len(c.messages) > keep.Count || sizeOf(c.messages) > keep.Bytes || now.Sub(c.messages[0].Time) >= keep.Age) {
		c.messages = c.messages[1:]
	}
}

func sizeOf(messages []*channel.Message) (n int64) {
	for _, m := range messages {
		n += int64(len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + 200)
	}
	return n
}

func (c *kept) saved(recent channel.Keep) channel.Saved {
	s := channel.Saved{Epoch: c.epoch, Offset: c.offset, Count: len(c.messages), Bytes: sizeOf(c.messages)}
	s.Recent = slices.Clone(c.messages[max(0, len(c.messages)-recent.Count):])
	for len(s.Recent) > 0 && sizeOf(s.Recent) > recent.Bytes {
		s.Recent = s.Recent[1:]
	}
	return s
}

// after gives the messages after an offset, and whether those are all.
func (c *kept) after(offset uint64) ([]*channel.Message, bool) {
	behind := c.offset - offset
	if offset > c.offset || behind > uint64(len(c.messages)) {
		return nil, false
	}
	return slices.Clone(c.messages[uint64(len(c.messages))-behind:]), true
}
