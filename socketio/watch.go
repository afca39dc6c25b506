package socketio

import (
	"sync"
	"time"

	"baro.dev/engineio"
)

// watch looks whether the clients of sockets whose context is in use are still there: the end of a session is told to handlers in
// their turn, and would not reach one that waits for it.
type watch struct {
	mu      sync.Mutex
	sockets map[*Socket]struct{}
	running bool
}

const watchInterval = time.Second

func (w *watch) add(s *Socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sockets == nil {
		w.sockets = map[*Socket]struct{}{}
	}
	w.sockets[s] = struct{}{}
	if !w.running {
		w.running = true
		time.AfterFunc(watchInterval, w.look)
	}
}

func (w *watch) look() {
	w.mu.Lock()
	var lost []*Socket
	for s := range w.sockets {
		if s.state.Load() == ended || s.session.Send() == engineio.ErrClosed {
			lost = append(lost, s)
			delete(w.sockets, s)
		}
	}
	w.running = len(w.sockets) > 0
	if w.running {
		time.AfterFunc(watchInterval, w.look)
	} else {
		w.sockets = nil
	}
	w.mu.Unlock()
	for _, s := range lost {
		s.interrupt()
	}
}
