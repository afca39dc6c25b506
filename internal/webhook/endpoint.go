package webhook

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// endpoint is an Endpoint and its queue. Its goroutine, run, alone takes from the queue.
type endpoint struct {
	Endpoint

	target    *target
	maxEvents int
	maxBytes  int64
	log       *slog.Logger
	ctx       context.Context // of all that it does
	stop      context.CancelFunc
	closing   <-chan struct{}
	wake      chan struct{} // tells run that there is something to look at
	slots     chan struct{} // holds one for each batch that is under way, or being gathered

	drops, losses, fails throttle

	mu        sync.Mutex // guards the rest
	queue     []item
	waiting   int   // bytes of the queue's events, without overhead
	events    int   // queued and under way
	bytes     int64 // queued and under way, with overhead
	closed    bool
	disabled  bool
	failures  int       // since the last answer that was none
	notBefore time.Time // what Retry-After says
	warned    bool      // of the failures
	abandoned int       // at Close
	counters  Stats
}

// item is an event in the queue. What it is encoded as is shared with other endpoints and never changed.
type item struct {
	encoded []byte
	at      time.Time
}

// batch is what goes into one request, and stays the same however often that is made.
type batch struct {
	id     string
	body   []byte
	at     time.Time // of the oldest event
	events int
	size   int // of the events, in bytes, without overhead
}

// weight is what the events of the batch are counted with.
func (b *batch) weight() int64 { return int64(b.size + b.events*eventOverhead) }

func newEndpoint(ctx context.Context, c *Config, settings *Endpoint, closing <-chan struct{}) (*endpoint, error) {
	if err := settings.validate(); err != nil {
		return nil, err
	}
	t, err := newTarget(settings.URL, settings.Secrets, settings.Headers, c.Transport)
	if err != nil {
		return nil, err
	}
	e := &endpoint{
		Endpoint:  *settings,
		target:    t,
		maxEvents: c.QueueEvents,
		maxBytes:  c.QueueBytes,
		log:       c.Log.With("url", t.name),
		closing:   closing,
		wake:      make(chan struct{}, 1),
		slots:     make(chan struct{}, settings.Concurrency),
	}
	e.ctx, e.stop = context.WithCancel(ctx)
	return e, nil
}

// push queues an event, or says that it cannot. An endpoint that is gone takes everything, and nothing comes of it.
func (e *endpoint) push(encoded []byte, now time.Time) bool {
	e.mu.Lock()
	size := int64(len(encoded)) + eventOverhead
	switch {
	case e.disabled:
		e.mu.Unlock()
		return true
	case e.closed || e.events >= e.maxEvents || e.bytes+size > e.maxBytes:
		e.counters.Dropped++
		queued, closed := e.events, e.closed
		e.mu.Unlock()
		if n, ok := e.drops.allow(1); ok && !closed {
			e.log.Warn("events for the backend are dropped: the queue is full", "events", n, "queued", queued)
		}
		return false
	}
	full := e.full()
	e.queue = append(e.queue, item{encoded, now})
	e.waiting += len(encoded)
	e.events++
	e.bytes += size
	news := len(e.queue) == 1 || !full && e.full()
	e.mu.Unlock()
	if news {
		e.signal()
	}
	return true
}

func (e *endpoint) signal() {
	select {
	case e.wake <- struct{}{}:
	default: // it has been told already
	}
}

// full says whether there is enough for a batch. The mutex is held.
func (e *endpoint) full() bool {
	return len(e.queue) >= e.BatchEvents || e.waiting >= e.BatchBytes
}

func (e *endpoint) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.signal()
}

// run takes batches from the queue until the sender is closed and the queue empty, or e.ctx ends.
func (e *endpoint) run() {
	defer e.stop()
	var deliveries sync.WaitGroup
	for e.ctx.Err() == nil {
		select {
		case e.slots <- struct{}{}:
		case <-e.ctx.Done():
			continue
		}
		b := e.gather()
		if b == nil {
			break
		}
		deliveries.Go(func() {
			e.deliver(b)
			<-e.slots
		})
	}
	deliveries.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	left, _ := e.take(len(e.queue))
	e.settle(left, abandoned)
}

// gather waits for a batch: for enough events, or for the oldest to have waited long enough. It returns nil when there is
// none to come.
func (e *endpoint) gather() *batch {
	for {
		e.expire()
		e.mu.Lock()
		var wait time.Duration
		if len(e.queue) > 0 {
			wait = e.BatchDelay - time.Since(e.queue[0].at)
			if wait <= 0 || e.closed || e.full() {
				b, items := e.take(e.fitting())
				e.mu.Unlock()
				b.encode(items)
				return b
			}
		} else if e.closed {
			e.mu.Unlock()
			return nil
		}
		e.mu.Unlock()
		if !e.wait(wait) {
			return nil
		}
	}
}

// wait returns when there is something new, and after d if that is not 0; false when e.ctx has ended.
func (e *endpoint) wait(d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-e.wake:
	case <-over:
	case <-e.ctx.Done():
		return false
	}
	return true
}

// expire gives up what is too old to be tried.
func (e *endpoint) expire() {
	e.mu.Lock()
	n := 0
	for n < len(e.queue) && time.Since(e.queue[n].at) > e.MaxAge {
		n++
	}
	expired, items := e.take(n)
	e.settle(expired, failed)
	e.mu.Unlock()
	clear(items)
	if n > 0 {
		e.lose(n, errTooOld)
	}
}

// fitting is how many events the next batch has. The mutex is held.
func (e *endpoint) fitting() int {
	n, bytes := 1, len(e.queue[0].encoded)
	for n < len(e.queue) && n < e.BatchEvents {
		bytes += len(e.queue[n].encoded)
		if bytes > e.BatchBytes {
			break
		}
		n++
	}
	return n
}

// take removes the first n events from the queue. What it returns is the caller's alone. The mutex is held.
func (e *endpoint) take(n int) (*batch, []item) {
	b, items := &batch{events: n}, e.queue[:n:n]
	for _, i := range items {
		b.size += len(i.encoded)
	}
	if n > 0 {
		b.at = items[0].at
	}
	e.waiting -= b.size
	e.queue = e.queue[n:]
	if len(e.queue) == 0 {
		e.queue = nil
	}
	return b, items
}

// encode makes the body, and lets go of the events.
func (b *batch) encode(items []item) {
	b.id = newID("msg_")
	b.body = make([]byte, 0, len(`{"events":[]}`)+b.size+len(items))
	b.body = append(b.body, `{"events":[`...)
	for i, event := range items {
		if i > 0 {
			b.body = append(b.body, ',')
		}
		b.body = append(b.body, event.encoded...)
	}
	b.body = append(b.body, "]}"...)
	clear(items)
}

func (e *endpoint) stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.counters
	s.URL, s.Failures, s.Queued, s.Bytes, s.Disabled = e.target.name, e.failures, e.events, e.bytes, e.disabled
	return s
}

// undelivered is how many events were left at Close.
func (e *endpoint) undelivered() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.abandoned
}
