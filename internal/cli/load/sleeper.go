package load

import (
	"errors"
	"net"
	"time"
)

// sleeper is a poller that only waits. Connections read and write on goroutines of their own.
type sleeper struct{ woken chan struct{} }

func newSleeper() *sleeper { return &sleeper{make(chan struct{}, 1)} }

func (s *sleeper) take(*conn, net.Conn) bool { return false }

func (s *sleeper) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.woken:
	case <-t.C:
	}
}

func (s *sleeper) handle() {}

func (s *sleeper) write(*conn, []byte) (int, error) { return 0, errors.ErrUnsupported }

func (s *sleeper) remove(*conn) {}

func (s *sleeper) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

func (s *sleeper) close() {}

func (s *sleeper) threadTimes() (times, bool) { return times{}, false }
