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
	timer    timerwheel.Timer[*Session]
	due      time.Duration // of the next ping, or the answer to the one that is out
	pinged   bool          // a ping is out
	extended bool          // the client has been given more time to answer it
	sign     atomic.Bool   // something has come since
	last     atomic.Int64  // when something came last, of protocol 3
}

// heard notes that something has come.
func (s *Session) heard() {
	if s.format.Protocol() == 3 {
		s.beat.last.Store(int64(s.server.heart.now()))
	} else if !s.beat.sign.Load() {
		s.beat.sign.Store(true)
	}
}

// ponged notes the answer to a ping.
func (s *Session) ponged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := &s.beat; b.pinged {
		b.pinged = false
		b.due = s.server.heart.now() + s.server.set.PingInterval
	}
}

// pulse reports whether the client is overdue, or else when to look again. mu is held.
func (s *Session) pulse(now time.Duration) (overdue bool, at time.Duration) {
	b, set := &s.beat, s.server.set
	switch {
	case s.format.Protocol() == 3: // the client pings
		at = time.Duration(b.last.Load()) + set.PingInterval + set.PingTimeout
		return now >= at, at
	case now < b.due || !b.pinged:
		return false, b.due
	case b.sign.Load() && !b.extended:
		b.extended = true
		b.due = now + set.PingTimeout
		return false, b.due
	}
	return true, 0
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
	case closing: // nobody has come to hear of it
		why := s.poll.why
		s.mu.Unlock()
		s.end(why)
		return
	}
	overdue, at := s.pulse(now)
	ping := false
	if b := &s.beat; !overdue && s.format.Protocol() != 3 && !b.pinged && now >= b.due {
		ping = true
		b.pinged, b.extended = true, false
		b.sign.Store(false)
		b.due = now + s.server.set.PingTimeout
		at = b.due
	}
	s.mu.Unlock()
	switch {
	case overdue:
		s.end(&CloseError{Reason: PingTimeout})
		return
	case ping:
		s.sendPacket(payload.Ping, nil)
	}
	s.server.heart.schedule(s, at)
}

// heart beats for all sessions: one timer wheel, and a goroutine that exists while there are sessions.
type heart struct {
	start  time.Time
	coarse time.Duration // times are rounded up to it, so that the heart beats for many at once

	mu      sync.Mutex
	wheel   *timerwheel.Wheel[*Session]
	running bool
	next    time.Duration // when the goroutine looks again
	wake    chan struct{}
}

const (
	heartTick  = 5 * time.Millisecond
	heartSlots = 8192
)

func newHeart(interval time.Duration) *heart {
	return &heart{
		start:  time.Now(),
		coarse: max(1, interval/64),
		wheel:  timerwheel.New[*Session](heartTick, heartSlots),
		wake:   make(chan struct{}, 1),
	}
}

// now is the time of the heart.
func (h *heart) now() time.Duration { return time.Since(h.start) }

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

func (h *heart) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due []*Session
	for {
		now := h.now()
		h.mu.Lock()
		h.wheel.Advance(now, func(s *Session) { due = append(due, s) })
		next, ok := h.wheel.Next()
		if !ok && len(due) == 0 {
			h.running = false
			h.mu.Unlock()
			return
		}
		h.next = next
		if !ok {
			h.next = now // whoever is due has yet to be scheduled again
		}
		h.mu.Unlock()
		for i, s := range due {
			s.tick(now)
			due[i] = nil
		}
		if len(due) > 0 {
			due = due[:0]
			continue // they have been scheduled again
		}
		timer.Reset(next - h.now())
		select {
		case <-timer.C:
		case <-h.wake:
		}
	}
}
