package clusteradapter

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// How long acknowledgements for another server are waited for: if it does not say, and at most.
const (
	usualWait = 2 * time.Minute
	maxWait   = time.Hour
)

// serving is a broadcast of another server whose acknowledgements this one waits for.
type serving struct {
	adapter *Adapter
	stop    func()
	timer   *time.Timer  // guarded by the mutex of the adapter
	left    atomic.Int64 // clients that have not answered, and one until all are asked
	once    sync.Once
}

// serve sends a broadcast of another server to sockets of this one, and it their acknowledgements.
func (a *Adapter) serve(m *Message, p *parser.Packet) error {
	to, id := strings.Clone(m.UID), strings.Clone(m.RequestID)
	s := &serving{adapter: a}
	s.left.Store(1)
	var err error
	s.stop, err = a.MemoryAdapter.BroadcastWithAck(p, own(m.Options), func(n int) {
		s.left.Add(int64(n))
		answer := a.Message(BroadcastClientCount)
		answer.RequestID, answer.Clients = id, n
		a.respond(to, answer)
	}, func(args socketio.Args, err error) {
		if err == nil {
			answer := a.Message(BroadcastAck)
			answer.RequestID, answer.Value = id, args.Value(0)
			a.respond(to, answer)
		}
		s.settled()
	})
	if err != nil {
		return err
	}
	timeout := m.Options.Flags.Timeout
	if timeout <= 0 || timeout > maxWait {
		timeout = usualWait
	}
	a.mu.Lock()
	closed := a.closed
	s.timer = time.AfterFunc(timeout, s.end)
	a.serving[s] = struct{}{}
	a.mu.Unlock()
	if s.settled(); closed {
		s.end()
	}
	return nil
}

func (s *serving) settled() {
	if s.left.Add(-1) == 0 {
		s.end()
	}
}

func (s *serving) end() {
	s.once.Do(func() {
		a := s.adapter
		a.mu.Lock()
		s.timer.Stop()
		delete(a.serving, s)
		a.mu.Unlock()
		s.stop()
	})
}
