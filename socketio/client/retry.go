package client

import "errors"

// retry is an event that is sent until it is acknowledged, or was sent often enough (retries).
type retry struct {
	flags flags
	event string
	args  []any
	ack   *pending // whom to tell; nil for nobody
	tries int
	busy  bool // it was sent, and is waited for
}

// maxRetries bounds how many events wait for those before them.
const maxRetries = 100_000

// enqueue has an event wait for those before it. Its arguments are encoded when it is sent: they must not change until then.
func (s *Socket) enqueue(f flags, event string, args []any, ack *pending) error {
	s.mu.Lock()
	if len(s.retries) >= maxRetries {
		s.mu.Unlock()
		return ErrBufferFull
	}
	f.retried = true
	s.retries = append(s.retries, &retry{flags: f, event: event, args: args, ack: ack})
	s.mu.Unlock()
	s.retry()
	return nil
}

// errAway is that there is no connection: what is tried again waits for the next one.
var errAway = errors.New("socketio/client: away")

// retry sends the first event that waits, unless it was sent and may still be acknowledged.
func (s *Socket) retry() {
	for {
		s.mu.Lock()
		s.skip()
		if len(s.retries) == 0 || s.session == nil || s.retries[0].busy {
			s.mu.Unlock()
			return
		}
		first := s.retries[0]
		first.busy = true
		first.tries++
		s.mu.Unlock()
		ack := &pending{then: func(a Args, err error) { s.tried(first, a, err) }}
		err := s.emit(first.flags, first.event, first.args, ack)
		switch {
		case errors.Is(err, errAway):
			s.mu.Lock()
			first.busy = false
			first.tries--
			s.mu.Unlock()
			continue // it may be back already
		case err != nil:
			first.tries = s.manager.set.Retries + 1
			s.tried(first, Args{}, err)
		}
		return
	}
}

// skip drops what nobody waits for any more. The caller holds mu.
func (s *Socket) skip() {
	for len(s.retries) > 0 && !s.retries[0].busy && s.retries[0].ack != nil && s.retries[0].ack.over.Load() {
		s.retries = s.retries[1:]
	}
}

// tried is what became of a try.
func (s *Socket) tried(r *retry, a Args, err error) {
	s.mu.Lock()
	s.skip()
	if len(s.retries) == 0 || s.retries[0] != r {
		s.mu.Unlock()
		return
	}
	over := err == nil || r.tries > s.manager.set.Retries || r.ack != nil && r.ack.over.Load()
	if over {
		s.retries = s.retries[1:]
	}
	r.busy = false
	s.mu.Unlock()
	if over && r.ack != nil {
		r.ack.end(a, err)
	}
	s.retry()
}
