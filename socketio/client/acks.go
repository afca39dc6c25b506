package client

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/parser"
)

// pending is an acknowledgement that is waited for.
type pending struct {
	then func(Args, error) // is called once, and does not wait
	over atomic.Bool
	// Guarded by the socket's mu.
	id    uint64
	sent  bool // it waits for the server, not for the connection
	timer *time.Timer
	once  sync.Once
}

// start begins the time that there is for it. The socket's mu is held.
func (p *pending) start(s *Socket, timeout time.Duration) {
	if timeout > 0 {
		p.timer = time.AfterFunc(timeout, func() {
			s.forget(p)
			p.end(Args{}, ErrTimeout)
		})
	}
}

// stop ends its timer. The socket's mu is held.
func (p *pending) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// end gives the answer, unless there was one already.
func (p *pending) end(a Args, err error) {
	p.once.Do(func() {
		p.over.Store(true)
		p.then(a, err)
	})
}

// forget has nobody wait for an acknowledgement, nor its event wait for the connection.
func (s *Socket) forget(p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.stop()
	if s.acks[p.id] == p {
		delete(s.acks, p.id)
	}
	s.outbox = slices.DeleteFunc(s.outbox, func(o *outgoing) bool {
		if o.ack == p {
			s.waiting -= o.size
		}
		return o.ack == p
	})
}

// acknowledged hands an acknowledgement over. One that nobody waits for is ignored.
func (s *Socket) acknowledged(p *parser.Packet) {
	s.mu.Lock()
	ack := s.acks[p.ID]
	if ack != nil {
		delete(s.acks, p.ID)
		ack.stop()
	}
	s.mu.Unlock()
	if ack != nil {
		ack.end(p.Data, nil)
	}
}

// failPending takes those acknowledgements that cannot come any more. The caller holds mu, and ends them without it.
func (s *Socket) failPending() (failed []*pending) {
	for id, p := range s.acks {
		if p.sent {
			delete(s.acks, id)
			p.stop()
			failed = append(failed, p)
		}
	}
	slices.SortFunc(failed, func(a, b *pending) int { return int(int64(a.id) - int64(b.id)) }) //nolint:gosec // counted from 0
	return failed
}

// bufferError is an error of a session in the words of this package.
func bufferError(err error) error {
	if errors.Is(err, eio.ErrBufferFull) {
		return ErrBufferFull
	}
	return err
}
