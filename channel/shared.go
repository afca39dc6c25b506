package channel

import (
	"sync"
	"time"
)

// unfollowAfter is how long a channel of a broker is followed that nobody uses: those that poll are away for a while.
const unfollowAfter = 30 * time.Second

// earlyParts is how much a feed may be ahead of Follow, in calls.
const earlyParts = 1000

// shared is what a channel has that is a broker's.
type shared struct {
	// Guarded by channel.mu.
	followed bool     // what was saved is there
	early    []func() // what the feed was told before

	mu       sync.Mutex
	appended []*appended // here, and not shown yet; in order
}

// follow has the channel be fed by the broker.
func (c *channel) follow(recent Keep) error {
	err := errLoad
	defer func() {
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.gone, c.shared.early = true, nil
		}
	}()
	var saved Saved
	if saved, err = c.hub.follow(c.name, recent, feed{c}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(&saved, nil)
	c.shared.followed = true
	for _, f := range c.shared.early {
		f()
	}
	c.shared.early = nil
	return nil
}

// feed is a channel as its broker knows it.
type feed struct{ channel *channel }

// Messages implements [Feed].
func (f feed) Messages(messages []*Message) {
	f.channel.fed(func() { f.channel.arrive(messages) })
}

// Lost implements [Feed].
func (f feed) Lost(saved Saved) {
	f.channel.fed(func() {
		saved.Recent = contiguous(saved.Recent, saved.Epoch, saved.Offset)
		f.channel.lose(&saved)
	})
}

// fed has f change the channel, as soon as it is followed.
func (c *channel) fed(f func()) {
	c.guest(func() {
		switch s := c.shared; {
		case c.gone:
		case s.followed:
			f()
		default:
			if len(s.early) == earlyParts {
				s.early = s.early[1:] // nobody reads the channel yet: it begins behind the gap
			}
			s.early = append(s.early, f)
		}
	})
	c.hub.reclaim(c)
}

// arrive shows what was published. The caller holds c.mu.
func (c *channel) arrive(messages []*Message) {
	for _, m := range messages {
		switch {
		case m.Epoch == c.epoch && m.Offset <= c.offset:
			continue
		case m.Epoch == c.epoch && m.Offset == c.offset+1:
		case m.Epoch != c.epoch && m.Offset == 1:
			c.begin(&Saved{Epoch: m.Epoch})
		default: // the broker has not kept its word
			c.lose(&Saved{Epoch: m.Epoch, Offset: m.Offset - 1})
		}
		c.show(newMessage(m))
	}
	c.showAppended()
}

// lose has the channel go on from what is saved, and tells its subscribers, unless nothing is missing. The caller holds c.mu.
func (c *channel) lose(saved *Saved) {
	if saved.Epoch == c.epoch && saved.Offset <= c.offset {
		return
	}
	if saved.Epoch == "" {
		saved.Epoch = newEpoch() // until the broker has one
	}
	e := &NotRecoverableError{Channel: c.name, After: c.position(), Kept: saved.Count}
	c.begin(saved)
	e.Last = c.position()
	c.showAppended()
	c.subscribers.lost(e)
}

// begin has the channel go on from what is saved, and wakes those who wait. The caller holds c.mu.
func (c *channel) begin(saved *Saved) {
	c.shared.drop(c.epoch, saved)
	c.take(saved, nil)
	c.wakeAll()
}

// secondLook is how long a reader is believed that has seen more than the broker knows of, in an epoch that nobody guesses: what has
// just answered for the broker may have stood still and not know yet that others are further.
const secondLook = 1500 * time.Millisecond

// catchUp waits until the channel is as far as the broker says that it is: a reader has seen more of it than there is here, in
// another process perhaps. It does not wait for long: who is answered [ErrStore] comes again. It notes in from that this was done.
func (c *channel) catchUp(from *From) error {
	if from.where == asked && c.reaches(&Saved{Epoch: from.position.Epoch, Offset: from.position.Offset}, secondLook) {
		from.where = caughtUp
		return nil
	}
	from.where++
	saved, err := c.hub.loadSaved(c.name, Keep{})
	if err != nil || saved.Epoch == "" || c.reaches(&saved, patience) {
		return err
	}
	return errBehind
}

// reaches waits until the channel is as far as saved, or has begun another life.
func (c *channel) reaches(saved *Saved, within time.Duration) bool {
	c.mu.Lock()
	epoch := c.epoch
	c.mu.Unlock()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		wake := c.behind(saved, epoch)
		if wake == nil {
			return true
		}
		select {
		case <-wake:
		case <-late.C:
			return false
		}
	}
}

// behind gives what is closed when there is more, if the channel is not as far as saved, and has not begun another life than that
// with the epoch.
func (c *channel) behind(saved *Saved, epoch string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == saved.Epoch && c.offset >= saved.Offset || c.epoch != saved.Epoch && c.epoch != epoch {
		return nil
	}
	return c.waiting()
}

// waiting is closed by the next message. The caller holds c.mu.
func (c *channel) waiting() <-chan struct{} {
	if c.wake == nil {
		c.wake = make(chan struct{})
	}
	return c.wake
}

func (c *channel) wakeAll() {
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}
