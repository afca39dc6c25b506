package load

import (
	"math"
	"net"
	"sync"
	"time"
)

// never is when there is nothing to be done.
const never = math.MaxInt64

// A poller waits for what is to be done by a worker. Where it cannot take connections, these have goroutines of their own.
type poller interface {
	// take has the connection's descriptor watched in place of nc, which it closes. ok is false if that cannot be.
	take(c *conn, nc net.Conn) (ok bool)
	// wait waits so long, or until something has come or wake is called, and hands what has come to handle. Only the worker's
	// goroutine calls it, without holding mu.
	wait(d time.Duration)
	// handle handles what has come.
	handle()
	// write writes without waiting.
	write(c *conn, b []byte) (int, error)
	remove(c *conn)
	wake()
	close()
	// threadTimes is how long the worker's thread has run, and has waited for a processor. ok is false where that cannot be known.
	threadTimes() (times, bool)
}

// times are of a thread or process.
type times struct{ ran, waited time.Duration }

// A worker has a share of the connections, and one goroutine on which most of it happens: what is due is sent, what comes is taken.
type worker struct {
	start      time.Time
	poller     poller
	goroutines sync.WaitGroup

	mu      sync.Mutex // guards all below, and the connections
	tally   *tally
	scratch []byte    // what is about to be sent
	errors  *failures // has its own lock; of the whole run
	conns   map[*conn]struct{}
	pace    pacer
	done    bool
	// Marks are when the thread's times are to be taken; they are taken by the worker.
	marks  int
	marked []times
}

// A pacer sends what is due and says when it is to be called again. late is how it is told of the present time.
type pacer interface {
	due(now int64) (next int64)
}

func newWorker(start time.Time, f *failures, p poller) *worker {
	return &worker{start: start, poller: p, tally: newTally(), errors: f, conns: make(map[*conn]struct{})}
}

// now is in nanoseconds since the run began.
func (w *worker) now() int64 { return int64(time.Since(w.start)) }

// run works until stop.
func (w *worker) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.done {
		next := int64(never)
		now := w.now()
		if w.pace != nil {
			next = w.pace.due(now)
		}
		for len(w.marked) < w.marks {
			t, _ := w.poller.threadTimes()
			w.marked = append(w.marked, t)
		}
		w.mu.Unlock()
		w.poller.wait(time.Duration(next - now))
		w.mu.Lock()
		w.poller.handle()
	}
	w.poller.close()
}

// do calls f under mu, and has the worker look at what has changed.
func (w *worker) do(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	w.poller.wake()
}

func (w *worker) stop() {
	w.do(func() {
		for c := range w.conns {
			c.end(nil)
		}
		w.done = true
	})
	w.goroutines.Wait()
}

// adopt makes nc, of which rest has been read already, a connection of the worker's. speak may send something already.
func (w *worker) adopt(nc net.Conn, rest []byte, speak func(*conn) speaker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &conn{worker: w, fd: -1, pending: make(chan struct{}, 1)}
	w.conns[c] = struct{}{}
	taken := w.poller.take(c, nc)
	if !taken {
		c.stream = nc
	}
	c.speaker = speak(c)
	if !taken {
		c.run()
	}
	if len(rest) > 0 {
		c.heard(rest, w.now())
	}
}

func (w *worker) left(c *conn) { delete(w.conns, c) }
