package channel

import (
	"fmt"
	"slices"
	"time"
)

// How a message is published by a broker: it is handed over without a lock, and its publisher waits until the broker calls done. What was
// appended here is shown by its publishers, as far as nothing is missing before it, and what others appended by the feed, which
// brings what was appended here, too: whoever is first shows it. So what is published here does not wait for the feed, unless others
// publish in the channel at that moment.

// patience is how long somebody waits for the feed to bring what the broker has.
const patience = 5 * time.Second

var errBehind = fmt.Errorf("%w: what it has did not come in %v", ErrStore, patience)

// appended is a message that was handed to the broker.
type appended struct {
	ended chan struct{} // closed when done was called

	// Written before ended is closed.
	Appended
	err error
	at  time.Time // when that was

	shown chan struct{} // closed when everybody here was handed the message; guarded by channel.mu, nil until one waits
	over  bool          // it was; guarded by channel.mu
}

// share has the broker append m.
func (h *Hub) share(name string, m *Message) submission {
	if err := h.check(name, m); err != nil {
		return submission{err: err}
	}
	c := h.visitLoaded(name) // nil: nobody here is to be handed it
	settings := h.rules.Load().of(name)
	p := *m
	if p.Sender != "" && settings.NoEcho {
		p.Exclude = true
	}
	a := &appended{ended: make(chan struct{})}
	if err := h.append(name, &p, settings.keep(), func(got Appended, err error) { a.done(c, got, err) }); err != nil {
		a.err = err
		close(a.ended)
	}
	return submission{channel: c, appended: a}
}

// done is what the broker calls.
func (a *appended) done(c *channel, got Appended, err error) {
	a.at = time.Now()
	if err != nil {
		a.err = fmt.Errorf("%w: %w", ErrStore, err)
	} else if a.Appended = got; c != nil && !got.Duplicate {
		s := c.shared
		s.mu.Lock()
		defer s.mu.Unlock()
		s.appended = append(s.appended, a)
	}
	close(a.ended)
}

// settle waits until the message is published, and was shown here if it could be.
func (a *appended) settle(c *channel) (*Message, error) {
	<-a.ended
	if a.err != nil || a.Duplicate || c == nil {
		return a.Message, a.err
	}
	shown := c.shownAppended(a)
	if shown == nil {
		return a.Message, nil
	}
	late := time.NewTimer(time.Until(a.at.Add(patience))) // of many, too, that come together
	defer late.Stop()
	select {
	case <-shown:
	case <-late.C:
		c.shared.remove(a)
	}
	return a.Message, nil
}

// shownAppended shows what can be shown, and gives what is closed when a is, if it is not yet.
func (c *channel) shownAppended(a *appended) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.showAppended()
	if a.over {
		return nil
	}
	a.shown = make(chan struct{})
	return a.shown
}

// showAppended shows what was appended here, as far as nothing is missing before it, even where Subscribers panic. The caller holds c.mu.
func (c *channel) showAppended() {
	a := c.shared.next(c.position())
	if a == nil {
		return
	}
	defer c.showAppended()
	defer a.end()
	if a.Message.Offset > c.offset {
		c.show(newMessage(a.Message))
	}
}

// end says that a is not waited for any longer. The caller holds the channel's mu.
func (a *appended) end() {
	a.over = true
	if a.shown != nil {
		close(a.shown)
	}
}

// next takes the first that may be shown, or was, in a channel that stands at p.
func (s *shared) next(p Position) *appended {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.appended {
		if a.Message.Epoch == p.Epoch {
			if a.Message.Offset > p.Offset+1 {
				return nil
			}
			s.take(i)
			return a
		}
	}
	return nil
}

// take removes one. The caller holds s.mu.
func (s *shared) take(i int) {
	if i > 0 {
		s.appended = slices.Delete(s.appended, i, i+1)
		return
	}
	s.appended[0] = nil
	if s.appended = s.appended[1:]; len(s.appended) == 0 {
		s.appended = nil
	}
}

func (s *shared) remove(a *appended) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.appended, a); i >= 0 {
		s.take(i)
	}
}

// drop ends those of the life with an epoch that the channel leaves behind for what is saved. The caller holds the channel's mu.
func (s *shared) drop(epoch string, saved *Saved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appended = slices.DeleteFunc(s.appended, func(a *appended) bool {
		gone := a.Message.Epoch == epoch && (epoch != saved.Epoch || a.Message.Offset <= saved.Offset)
		if gone {
			a.end()
		}
		return gone
	})
}
