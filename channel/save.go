package channel

import (
	"fmt"
	"sync"
	"time"
)

// How a message is saved: under the channel's mu it gets its offset and is handed to the store. Then its publisher waits,
// without a lock, until the store calls done, which does no more than to note it and to wake the publisher: the
// store's goroutine is not held up by anything. The publisher, with the channel's mu again, shows everybody what was saved, up
// to its own message: so messages are seen in the order of their offsets, by whichever publisher comes first, and a
// Subscriber's panic is a publisher's, never the store's.
//
// The locks are taken in this order: channel.mu, saving.mu, Hub.storing, and then those of the store. done takes
// saving.mu alone, and a store calls it without a lock that Save wants.

// saving is a channel's messages that are on their way to the store, oldest first.
type saving struct {
	mu    sync.Mutex
	queue []*pending
	saved int // how many of the oldest the store has; their publishers are to show them
}

// pending is a message on its way.
type pending struct {
	message *Message
	untold  bool          // the store is not told of it
	ended   chan struct{} // closed when it and all before it are saved, or it has failed

	saved bool  // guarded by saving.mu
	err   error // written before ended is closed
	shown bool  // guarded by channel.mu
}

func (p *pending) failed() bool {
	select {
	case <-p.ended:
		return p.err != nil
	default:
		return false
	}
}

// save hands m to the store. It returns nil where m is not to be saved and may be shown at once. The caller holds c.mu.
func (c *channel) save(m *Message, now time.Time) *pending {
	settings := c.settings.Load()
	s := c.saving
	// Held while the store is told, too, so that done for an earlier message comes either before m has its offset, or
	// after m was handed over, and fails it if need be.
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &pending{message: m, untold: !settings.stored()}
	next := c.offset + 1
	switch n := len(s.queue); {
	case n > 0:
		before := s.queue[n-1]
		next = before.message.Offset + 1
		p.untold = p.untold || before.untold // rules changed a moment ago: no gap in the store
	case p.untold:
		c.unsaved = true
		return nil
	case c.unsaved:
		c.beginAnew()
		next = 1
	}
	p.ended = make(chan struct{})
	c.stamp(m, next, now)
	c.remember(m, p)
	s.queue = append(s.queue, p)
	if p.untold {
		s.end(p, nil)
		return p
	}
	if err := c.hub.save(c.name, m, settings.keep(), func(err error) { s.done(p, err) }); err != nil {
		s.end(p, err)
	}
	return p
}

// beginAnew has a channel that the store was not told of begin another life, which it can be told of.
func (c *channel) beginAnew() {
	before := c.bytes()
	c.epoch, c.offset, c.history, c.unsaved = newEpoch(), 0, history{}, false
	c.hub.bytes.Add(c.bytes() - before)
}

// done is what the store calls.
func (s *saving) done(p *pending, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(p, err)
}

// end notes what became of p. The caller holds s.mu.
func (s *saving) end(p *pending, err error) {
	switch {
	case p.saved || p.err != nil: // it failed with one before it
	case err != nil:
		s.fail(p, err)
	default:
		p.saved = true
		for s.saved < len(s.queue) && s.queue[s.saved].saved {
			close(s.queue[s.saved].ended)
			s.saved++
		}
	}
}

// fail has p fail, and with it all that were handed over after it.
func (s *saving) fail(p *pending, err error) {
	at := s.saved
	for s.queue[at] != p {
		at++
	}
	for i, failed := range s.queue[at:] {
		failed.err = fmt.Errorf("%w: %w", ErrStore, err)
		if i > 0 {
			failed.err = fmt.Errorf("%w: a message before this one was not saved: %w", ErrStore, err)
		}
		close(failed.ended)
	}
	clear(s.queue[at:])
	s.queue = s.queue[:at]
}

// next takes the oldest message, which was saved.
func (s *saving) next() *pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
	s.saved--
	return p
}

// settle waits until p is saved and has been shown, or has failed.
func (c *channel) settle(p *pending) (*Message, error) {
	<-p.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.err != nil {
		c.keys.end(p)
		return nil, p.err
	}
	c.showUpTo(p)
	return p.message, nil
}

// showUpTo shows what was saved, up to p, even where Subscribers panic. The caller holds c.mu.
func (c *channel) showUpTo(p *pending) {
	if p.shown {
		return
	}
	defer c.showUpTo(p)
	oldest := c.saving.next()
	oldest.shown = true
	c.unsaved = oldest.untold
	c.keys.end(oldest)
	c.show(oldest.message)
}
