package server

import (
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
)

// queue is what a channel has delivered to a stream and the stream's goroutine has not written yet. It holds encoded
// messages, whose bytes all streams of one format share.
type queue struct {
	format  *format
	limit   int
	cut     func()          // called in a goroutine of its own, once, when the queue overflows
	ready   chan struct{}   // has a token when there is something to take
	client  *clients.Client // whose it is, for the log
	metrics *metrics.Metrics

	mu    sync.Mutex
	loop  waker // is told instead, once there is one
	parts [][]byte
	bytes int
	full  bool // it overflowed: what is in it is not the whole any more

	measured bool   // the time of messages is; it does not change once they come
	since    uint32 // when the first of those that wait, or are being written, was published, in queueTicks; 0: there is none
}

const (
	// measuredStreams is that of so many streams the messages of one are measured.
	measuredStreams = 64
	// queueTick is how precisely, and keeps a queue small.
	queueTick = 10 * time.Microsecond
)

// begin is called when what was there has been written: from now on messages come as they are published. nth counts streams.
func (q *queue) begin(nth uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.measured = nth%measuredStreams == 1
}

// left is called when what was taken has left.
func (q *queue) left() {
	if !q.measured {
		return
	}
	q.mu.Lock()
	since := q.since
	q.since = 0
	q.mu.Unlock()
	if since != 0 {
		q.metrics.Delivered(time.Duration(queueTicks(time.Now())-since) * queueTick)
	}
}

// queueTicks is a time as [queue] has it. Only differences mean something.
func queueTicks(t time.Time) uint32 { return uint32(t.Sub(queueEpoch) / queueTick) }

var queueEpoch = time.Now()

// overflowed says whether the client was cut, since it did not keep up.
func (q *queue) overflowed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full
}

// waiting is how many bytes wait.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

func newQueue(f *format, limit int, cut func()) *queue {
	return &queue{format: f, limit: limit, cut: cut, ready: make(chan struct{}, 1)}
}

// Deliver is called by the channel.
func (q *queue) Deliver(m *channel.Message) {
	q.put(channel.Shared(m, q.format, q.format.message), m.Time)
}

// Lost is called by the channel, too. Who cannot be told has to come back, and is told then.
func (q *queue) Lost(e *channel.NotRecoverableError) bool {
	q.metrics.Recovered(q.format.transport, false)
	if q.format.lost != nil {
		q.put(q.format.lost(e.Last), time.Now())
		return true
	}
	q.client.Disconnect(endLost)
	return false
}

// put has the client sent what was published at a time.
func (q *queue) put(part []byte, published time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full {
		return
	}
	if q.measured && q.since == 0 {
		q.since = queueTicks(published)
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
	if q.metrics != nil && len(q.parts) > 0 {
		q.metrics.Sent(q.format.transport, len(q.parts), q.bytes)
	}
	parts, q.parts, q.bytes = q.parts, spare[:0], 0
	return parts, !q.full
}
