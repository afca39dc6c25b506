package client

import (
	"errors"
	"fmt"
	"math"

	"baro.dev/socketio/parser"
)

// retry is an event that is sent until it is acknowledged, or was sent often enough (retries).
type retry struct {
	flags flags
	data  parser.Data
	size  int
	ack   *pending // whom to tell; nil for nobody
	tries int
	busy  bool // it was sent, and is waited for
}

// maxRetries bounds how many events wait for those before them.
const maxRetries = 100_000

// enqueue has an event wait for those before it.
func (s *Socket) enqueue(f flags, data parser.Data, ack *pending) error {
	data, size, err := s.encoded(data)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if len(s.retries) >= maxRetries || s.retrying > 0 && s.retrying+size > s.manager.set.MaxBuffered {
		s.mu.Unlock()
		return ErrBufferFull
	}
	f.retried = true
	s.retries = append(s.retries, &retry{flags: f, data: data, size: size, ack: ack})
	s.retrying += size
	s.mu.Unlock()
	s.retry()
	return nil
}

// encoded is the data of an event as it would come: the arguments are the caller's again, and each try has an id of its own.
func (s *Socket) encoded(data parser.Data) (parser.Data, int, error) {
	p := parser.Packet{Type: parser.Event, Namespace: s.namespace, Data: data}
	messages, size, err := s.encode(&p)
	if err != nil {
		return data, 0, err
	}
	decoder := s.manager.set.Parser.NewDecoder(&parser.Limits{MaxAttachments: math.MaxInt})
	for _, m := range messages {
		if _, err = decoder.Add(&p, m.Binary, m.Data); err != nil {
			return data, 0, fmt.Errorf("socketio/client: %w", err)
		}
	}
	return p.Data, size, nil
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
		err := s.emit(first.flags, first.data, ack)
		switch {
		case errors.Is(err, errAway):
			s.mu.Lock()
			first.busy = false
			first.tries--
			s.mu.Unlock()
			continue // it may be back already
		case err != nil:
			s.manager.set.Logger.Error("event not sent", "namespace", s.namespace, "bytes", first.size, "error", err)
			first.tries = s.manager.set.Retries + 1
			s.tried(first, Args{}, err)
		}
		return
	}
}

// skip drops what nobody waits for any more. The caller holds mu.
func (s *Socket) skip() {
	for len(s.retries) > 0 && !s.retries[0].busy && s.retries[0].ack != nil && s.retries[0].ack.over.Load() {
		s.dropRetry()
	}
}

// dropRetry drops the first. The caller holds mu.
func (s *Socket) dropRetry() {
	s.retrying -= s.retries[0].size
	s.retries[0] = nil
	s.retries = s.retries[1:]
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
		s.dropRetry()
	}
	r.busy = false
	s.mu.Unlock()
	if over && r.ack != nil {
		r.ack.end(a, err)
	}
	s.retry()
}
