package engineio

import (
	"context"
	"time"

	"baro.dev/engineio/internal/payload"
)

const (
	// lastPoll is how long the poll may take to come that learns of the end of the session.
	lastPoll = 30 * time.Second
	// pollGap is how long a client that is still there may take from one poll to the next, the answer to the first included.
	pollGap = 5 * time.Second
	// goodbyeTime is how long a poll may take to come that was sent with the packet by which the client said goodbye.
	goodbyeTime = time.Second
)

// expectFarewell has polls answered that come for s, which has ended, and for which packets wait.
func (e *Server) expectFarewell(s *Session, within time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.farewells == nil {
		e.farewells = map[string]*Session{}
	}
	e.farewells[s.id] = s
	time.AfterFunc(within, func() { e.saidFarewell(s) })
}

// saidFarewell has no more polls answered for s.
func (e *Server) saidFarewell(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.farewells[s.id] == s {
		delete(e.farewells, s.id)
	}
}

// farewell returns the session that has ended and polls are answered for.
func (e *Server) farewell(id string) *Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.farewells[id]
}

func (e *Server) forgetFarewells() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.farewells)
}

// parting is a client that is between two polls when the server closes.
type parting struct {
	told  <-chan struct{} // closed when it has got all there was for it
	until time.Duration   // of the heart: when it is taken for gone
}

// depart closes the session because the server does: as Close, but handlers learn of it at once, and the client when it polls. It
// reports whether that is to be waited for.
func (s *Session) depart() (p parting, waits bool) {
	why := &CloseError{Reason: ServerClose}
	s.mu.Lock()
	poll := s.poll
	if s.state == closed || poll == nil || s.state == open && poll.waiting() {
		s.mu.Unlock()
		s.close(why)
		return parting{}, false
	}
	if s.state == open {
		_ = poll.add(payload.Packet{Type: payload.Close}, false, false)
	} else {
		why = poll.why // it has been closed before
	}
	s.state, poll.why = closing, why
	told := make(chan struct{})
	poll.told = told
	until := poll.asked + pollGap
	s.mu.Unlock()
	s.finish(why)
	return parting{told, until}, true
}

// awaitPolls waits until those who part have been told, or are taken for gone. It reports false if ctx is done before.
func (e *Server) awaitPolls(ctx context.Context, all []parting) bool {
	for _, p := range all {
		gone := time.NewTimer(p.until - e.heart.now())
		select {
		case <-p.told:
		case <-gone.C:
		case <-ctx.Done():
			gone.Stop()
			return false
		}
		gone.Stop()
	}
	return true
}

// told notes that a poll has got the last there was for a session that has ended.
func (s *Session) told(p *polling) {
	s.server.saidFarewell(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.told != nil {
		close(p.told)
		p.told = nil
	}
}
