package server

import (
	"sync"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// queue is what a channel has delivered to a stream and the stream's goroutine has not written yet. It holds encoded
// messages, whose bytes all streams of one format share.
type queue struct {
	format *format
	limit  int
	cut    func()          // called in a goroutine of its own, once, when the queue overflows
	ready  chan struct{}   // has a token when there is something to take
	client *clients.Client // whose it is, for the log

	mu    sync.Mutex
	loop  waker // is told instead, once there is one
	parts [][]byte
	bytes int
	full  bool // it overflowed: what is in it is not the whole any more
}

func newQueue(f *format, limit int, cut func()) *queue {
	return &queue{format: f, limit: limit, cut: cut, ready: make(chan struct{}, 1)}
}

// Deliver is called by the channel.
func (q *queue) Deliver(m *channel.Message) {
	q.put(channel.Shared(m, q.format, q.format.message))
}

func (q *queue) put(part []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full {
		return
	}
	// A message alone is never too much.
	if q.bytes > 0 && q.bytes+len(part) > q.limit {
		q.full, q.parts, q.bytes = true, nil, 0
		go q.cut() // the one exception to publishing without goroutines: it ends a stream
	} else {
		q.parts = append(q.parts, part)
		q.bytes += len(part)
	}
	if q.loop != nil {
		if len(q.parts) <= 1 { // it has not been told yet, or of what ends it
			q.loop.wake()
		}
		return
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// A waker is told that there is something to take, and that the queue has overflowed. It is called with the queue's lock held.
type waker interface {
	wake()
	cut()
}

// wakes has l told of what comes, and of what there is.
func (q *queue) wakes(l waker) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.loop, q.cut, q.ready = l, l.cut, nil
	l.wake()
}

// take takes everything, and says whether that is the whole. The queue goes on with spare, which the caller took earlier
// and has written.
func (q *queue) take(spare [][]byte) (parts [][]byte, whole bool) {
	if cap(spare) > 64 {
		spare = nil // a burst must not stay in memory
	}
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	parts, q.parts, q.bytes = q.parts, spare[:0], 0
	return parts, !q.full
}
