package clusteradapter

import "sync"

// maxWaiting is how many functions may wait for their turn.
const maxWaiting = 1024

// serial runs functions one after another, on a goroutine that is there while there are some.
type serial struct {
	mu      sync.Mutex
	waiting []func()
	runs    bool
	closed  bool
}

// run reports false if too many wait already.
func (s *serial) run(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.waiting) >= maxWaiting {
		return s.closed
	}
	s.waiting = append(s.waiting, f)
	if !s.runs {
		s.runs = true
		go s.work()
	}
	return true
}

func (s *serial) work() {
	for {
		s.mu.Lock()
		if len(s.waiting) == 0 {
			s.runs, s.waiting = false, nil
			s.mu.Unlock()
			return
		}
		f := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		s.mu.Unlock()
		f()
	}
}

// close drops what waits.
func (s *serial) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.waiting = true, nil
}
