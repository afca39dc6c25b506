package engineio

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/engineio/internal/payload"
	"baro.dev/internal/timerwheel"
)

var errHeartbeat = errors.New("engineio: heartbeat in the wrong direction")

// beat is what is known of a session's heartbeat. Session.mu guards it, but for what is atomic and the timer, which is the
// heart's.
type beat struct {
	timer     timerwheel.Timer[*Session]
	due       time.Duration // of the next ping, or the answer to the one that is out
	pinged    bool          // a ping is out
	extended  bool          // the client has been given more time to answer it
	knock     bool          // something has to be sent to the client, which is not read
	look      time.Duration // when the heart looks
	scheduled bool          // it will
	sign      atomic.Bool   // something has come since
	last      atomic.Int64  // of protocol 3, when something came last; of 4, when the last ping left
}

// heard notes that something has come.
func (s *Session) heard() {
	if s.format.Protocol() == 3 {
		s.beat.last.Store(int64(s.server.heart.now()))
	} else if !s.beat.sign.Load() {
		s.beat.sign.Store(true)
	}
}

// beats begins the time until the next ping. mu is held.
func (s *Session) beats(now time.Duration) {
	b, h, set := &s.beat, s.server.heart, s.server.set
	b.pinged = false
	b.due = h.early(now + set.PingInterval)
	if s.format.Protocol() == 3 { // the client pings
		b.due = now + set.PingInterval + set.PingTimeout
	}
	if !b.scheduled || b.due < b.look {
		s.look(b.due)
	}
}

// look has tick called at a time. mu is held.
func (s *Session) look(at time.Duration) {
	s.beat.scheduled, s.beat.look = true, at
	s.server.heart.schedule(s, at)
}

// ponged notes the answer to a ping, which has come over a transport.
func (s *Session) ponged(transport string) {
	now := s.server.heart.now()
	s.mu.Lock()
	answer := s.beat.pinged && s.state == open
	if answer {
		s.beats(now)
	}
	s.mu.Unlock()
	if m := s.server.Meter; m != nil && answer {
		m.RoundTrip(transport, now-time.Duration(s.beat.last.Load()))
	}
}

// pulse reports whether the client is overdue, or else when to look again. mu is held.
func (s *Session) pulse(now time.Duration) (overdue bool, at time.Duration) {
	b, set := &s.beat, s.server.set
	pings := s.format.Protocol() == 3 // the client does
	silent := time.Duration(b.last.Load()) + set.PingInterval + set.PingTimeout
	held := s.inbox.held.Load() // what has come is not read, since the handler is slow
	switch {
	case pings && now < silent:
		return false, silent
	case now < b.due, !pings && !b.pinged:
		return false, b.due
	case held && (s.link != nil || s.poll.waiting()):
		// What it has to say waits to be read. It is sent something, or it would take the server for gone; and that is what shows
		// whether it has vanished: a link fails, over TCP within the time that the system allows, and no poll waits.
		b.knock, b.extended = true, false
	case (held || !pings && b.sign.Load()) && !b.extended:
		b.extended = true
	default:
		return true, 0
	}
	b.due = now + set.PingTimeout
	return false, b.due
}

// overdue ends a session whose client has not been heard of in time, and reports that.
func (s *Session) overdue() bool {
	s.mu.Lock()
	overdue := false
	if s.state == open {
		overdue, _ = s.pulse(s.server.heart.now())
	}
	s.mu.Unlock()
	if overdue {
		s.end(&CloseError{Reason: PingTimeout})
	}
	return overdue
}

// tick is called by the heart.
func (s *Session) tick(now time.Duration) {
	s.mu.Lock()
	switch s.state {
	case closed:
		s.mu.Unlock()
		return
	case closing:
		p, late := s.poll, now < s.beat.due
		switch {
		case p == nil: // it ends this moment
		case late: // it has been closed since the heart looked
			s.look(s.beat.due)
		default: // nobody has come to hear of it
			defer s.end(p.why)
		}
		s.mu.Unlock()
		return
	}
	overdue, at := s.pulse(now)
	ping := false
	if b := &s.beat; !overdue && s.format.Protocol() != 3 && !b.pinged && now >= b.due {
		ping = true
		b.pinged, b.extended = true, false
		b.sign.Store(false)
		b.last.Store(int64(now))
		timeout := s.server.set.PingTimeout
		b.due = max(b.due, now-min(maxLate, timeout/4)) + timeout
		at = b.due
	}
	knock := s.beat.knock
	s.beat.knock = false
	if !overdue {
		s.look(at)
	}
	s.mu.Unlock()
	switch {
	case overdue:
		s.end(&CloseError{Reason: PingTimeout})
	case knock && s.format.Protocol() == 3:
		s.sendPacket(payload.Noop, nil)
	case ping, knock:
		s.sendPacket(payload.Ping, nil)
	}
}

// heart beats for all sessions: one timer wheel, and a goroutine that exists while there are sessions.
type heart struct {
	start  time.Time
	coarse time.Duration // times are rounded to it, so that the heart beats for many at once

	mu      sync.Mutex
	wheel   *timerwheel.Wheel[*Session]
	running bool
	next    time.Duration // when the goroutine looks again
	wake    chan struct{}
}

const (
	heartTick  = 5 * time.Millisecond
	heartSlots = 8192
	// maxLate is how much later a ping may leave than it should have, for want of a processor, without the client being given more time
	// to answer; a quarter of that time at most.
	maxLate = 100 * time.Millisecond
)

func newHeart(interval time.Duration) *heart {
	return &heart{
		start:  time.Now(),
		coarse: max(heartTick, (interval / 64).Truncate(heartTick)),
		wheel:  timerwheel.New[*Session](heartTick, heartSlots),
		wake:   make(chan struct{}, 1),
	}
}

// now is the time of the heart.
func (h *heart) now() time.Duration { return time.Since(h.start) }

// early is the time of a ping that should leave at a time: a little before it rather than after, so that the client's silence is noticed
// in time.
func (h *heart) early(at time.Duration) time.Duration { return at.Truncate(h.coarse) }

// schedule has s.tick called at a time.
func (h *heart) schedule(s *Session, at time.Duration) {
	if late := at % h.coarse; late > 0 {
		at += h.coarse - late
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.beat.timer.Value = s
	h.wheel.Schedule(&s.beat.timer, at)
	switch {
	case !h.running:
		h.running = true
		go h.run()
	case at < h.next:
		h.next = at
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

func (h *heart) stop(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wheel.Stop(&s.beat.timer)
	if h.running && h.wheel.Len() == 0 {
		h.next = 0
		select {
		case h.wake <- struct{}{}: // for good
		default:
		}
	}
}

func (h *heart) run() { h.goOn(nil) }

// goOn is run, beginning with sessions that are due.
func (h *heart) goOn(due []*Session) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	returned := false
	defer func() {
		if !returned { // a handler has ended the goroutine
			go h.goOn(due)
		}
	}()
	for {
		now := h.now()
		h.mu.Lock()
		h.wheel.Advance(now, func(s *Session) { due = append(due, s) })
		next, ok := h.wheel.Next()
		if !ok && len(due) == 0 {
			h.running = false
			h.mu.Unlock()
			returned = true
			return
		}
		h.next = next
		if !ok {
			h.next = now // whoever is due has yet to be scheduled again
		}
		h.mu.Unlock()
		if len(due) > 0 {
			for len(due) > 0 {
				s := due[len(due)-1]
				due[len(due)-1] = nil
				due = due[:len(due)-1]
				s.tick(now)
			}
			continue // they have been scheduled again
		}
		timer.Reset(next - h.now())
		select {
		case <-timer.C:
		case <-h.wake:
		}
	}
}
