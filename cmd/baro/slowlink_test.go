package main

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A slowlink is a network between a node and its broker that can be made slow: bytes take a while, and there are few in a second, of all
// connections together, each way.
type slowlink struct {
	address, to string

	mu    sync.Mutex
	delay time.Duration
	rate  int           // bytes in a second; 0: no bound
	free  [2]time.Time  // when each way has let all through that came
	eased chan struct{} // closed when the link is fast again
}

func startSlowlink(t *testing.T, to string) *slowlink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &slowlink{address: l.Addr().String(), to: to, eased: make(chan struct{})}
	t.Cleanup(s.ease)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go s.connect(client)
		}
	}()
	return s
}

// slow has everything from now on take delay, and rate bytes in a second.
func (s *slowlink) slow(delay time.Duration, rate int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.rate, s.free = delay, rate, [2]time.Time{}
	select {
	case <-s.eased:
		s.eased = make(chan struct{})
	default:
	}
}

// ease has the link be fast, for what is under way, too.
func (s *slowlink) ease() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay, s.rate = 0, 0
	select {
	case <-s.eased:
	default:
		close(s.eased)
	}
}

// passed is when bytes that came just now have gone through.
func (s *slowlink) passed(way, bytes int) (time.Time, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.rate > 0 {
		if s.free[way].Before(now) {
			s.free[way] = now
		}
		s.free[way] = s.free[way].Add(time.Duration(bytes) * time.Second / time.Duration(s.rate))
		now = s.free[way]
	}
	return now.Add(s.delay), s.eased
}

func (s *slowlink) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", s.to)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { s.carry(0, server, client) })
	both.Go(func() { s.carry(1, client, server) })
	both.Wait()
}

// carry brings what one side says to the other. Not much is under way on a connection: then who sends waits.
func (s *slowlink) carry(way int, to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	type piece struct {
		data  []byte
		due   time.Time
		eased <-chan struct{}
	}
	under := make(chan piece, 8)
	var writing sync.WaitGroup
	writing.Go(func() {
		var err error
		for p := range under {
			if wait := time.Until(p.due); wait > 0 && err == nil {
				select {
				case <-time.After(wait):
				case <-p.eased:
				}
			}
			if err == nil {
				if _, err = to.Write(p.data); err != nil {
					from.Close()
				}
			}
		}
	})
	for {
		data := make([]byte, 4<<10)
		n, err := from.Read(data)
		if n > 0 {
			due, eased := s.passed(way, n)
			under <- piece{data[:n], due, eased}
		}
		if err != nil {
			break
		}
	}
	close(under)
	writing.Wait()
}
