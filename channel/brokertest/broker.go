package brokertest

import (
	"errors"
	"sync"
	"time"

	"baro.dev/channel"
)

// ErrAway is what a [Broker] answers that was sent [Broker.Away].
var ErrAway = errors.New("brokertest: the broker is away")

var errClosed = errors.New("brokertest: the broker is closed")

// A Broker is one process' end of a [Log]. It calls what Append was given from one goroutine, and its feeds from another.
type Broker struct {
	log *Log

	// Guarded by log.mu.
	follows map[string]*followed
	done    []func()
	cut     bool // feeds are told of nothing
	away    bool // nothing works
	closed  bool
	work    sync.Cond

	running sync.WaitGroup
}

// followed is a channel that is followed.
type followed struct {
	to     channel.Feed
	epoch  string
	last   uint64 // what the feed has been given, or is about to
	queue  []*channel.Message
	lost   *channel.Saved // what the feed is to be told before the queue
	missed bool
}

// Open makes a broker on the log.
func (l *Log) Open() *Broker {
	b := &Broker{log: l, follows: make(map[string]*followed)}
	b.work.L = &l.mu
	l.mu.Lock()
	l.brokers[b] = true
	l.mu.Unlock()
	b.running.Go(b.runDone)
	b.running.Go(b.runFeeds)
	return b
}

// Cut has the broker's feeds be told of nothing until it is called with false: then they are given what they missed, or told
// that it is lost.
func (b *Broker) Cut(yes bool) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	b.cut = yes
	if yes {
		return
	}
	for name, f := range b.follows {
		if !f.missed {
			continue
		}
		f.missed = false
		c := b.log.of(name)
		if rest, ok := c.after(f.last); ok && f.epoch == c.epoch {
			f.queue = append(f.queue, rest...)
			f.last = c.offset
		} else {
			f.lose(c.saved(channel.Keep{Count: 1000, Bytes: 1 << 20}))
		}
	}
	b.work.Broadcast()
}

// Now implements [channel.Broker].
func (b *Broker) Now() time.Time { return time.Now() }

// Away has everything fail but Unfollow and Close, until it is called with false, and cuts the feeds.
func (b *Broker) Away(yes bool) {
	b.log.mu.Lock()
	b.away = yes
	b.log.mu.Unlock()
	b.Cut(yes)
}

// Following says how many channels are followed.
func (b *Broker) Following() int {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	return len(b.follows)
}

// feed has f be given m. log.mu is held.
func (b *Broker) feed(f *followed, m *channel.Message) {
	if b.cut || f.missed {
		f.missed = true
		return
	}
	f.queue = append(f.queue, m)
	f.last, f.epoch = m.Offset, m.Epoch
	b.work.Broadcast()
}

// lose has the feed told that it has lost what is before saved.
func (f *followed) lose(saved channel.Saved) {
	f.queue, f.lost, f.missed = nil, &saved, false
	f.epoch, f.last = saved.Epoch, saved.Offset
}

func (b *Broker) runDone() {
	for {
		b.log.mu.Lock()
		for len(b.done) == 0 && !b.closed {
			b.work.Wait()
		}
		done := b.done
		b.done = nil
		b.log.mu.Unlock()
		if len(done) == 0 {
			return
		}
		for _, f := range done {
			f()
		}
	}
}

func (b *Broker) runFeeds() {
	for {
		f, lost, messages := b.next()
		if f == nil {
			return
		}
		if lost != nil {
			f.to.Lost(*lost)
		}
		if len(messages) > 0 {
			f.to.Messages(messages)
		}
	}
}

// next waits for something that a feed is to be told.
func (b *Broker) next() (*followed, *channel.Saved, []*channel.Message) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	for !b.closed {
		for _, f := range b.follows {
			if b.cut || f.lost == nil && len(f.queue) == 0 {
				continue
			}
			lost, messages := f.lost, f.queue
			f.lost, f.queue = nil, nil
			return f, lost, messages
		}
		b.work.Wait()
	}
	return nil, nil, nil
}

// err says why nothing works. log.mu is held.
func (b *Broker) err() error {
	switch {
	case b.closed:
		return errClosed
	case b.away:
		return ErrAway
	}
	return nil
}

// Follow implements [channel.Broker].
func (b *Broker) Follow(name string, recent channel.Keep, feed channel.Feed) (channel.Saved, error) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	if err := b.err(); err != nil {
		return channel.Saved{}, err
	}
	c := b.log.of(name)
	b.follows[name] = &followed{to: feed, epoch: c.epoch, last: c.offset}
	return c.saved(recent), nil
}

// Unfollow implements [channel.Broker].
func (b *Broker) Unfollow(name string) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	delete(b.follows, name)
}

// Append implements [channel.Broker].
func (b *Broker) Append(name string, m *channel.Message, keep channel.Keep, done func(channel.Appended, error)) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	var a channel.Appended
	err := b.err()
	if err == nil {
		a = b.log.append(name, m, keep)
	}
	if b.closed {
		go done(a, err)
		return
	}
	b.done = append(b.done, func() { done(a, err) })
	b.work.Broadcast()
}

// Load implements [channel.Broker].
func (b *Broker) Load(name string, recent channel.Keep) (channel.Saved, error) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	c := b.log.channels[name]
	if err := b.err(); err != nil || c == nil {
		return channel.Saved{}, err
	}
	return c.saved(recent), nil
}

// Read implements [channel.Broker].
func (b *Broker) Read(name, epoch string, after uint64, maxBytes int) ([]*channel.Message, error) {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	c := b.log.channels[name]
	if err := b.err(); err != nil || c == nil || c.epoch != epoch {
		return nil, err
	}
	messages, _ := c.after(after)
	for i, m := range messages {
		if maxBytes -= len(m.Data); maxBytes < 0 && i > 0 {
			return messages[:i], nil
		}
	}
	return messages, nil
}

// Close implements [channel.Broker].
func (b *Broker) Close() error {
	b.log.mu.Lock()
	b.closed = true
	delete(b.log.brokers, b)
	b.work.Broadcast()
	b.log.mu.Unlock()
	b.running.Wait()
	return nil
}
