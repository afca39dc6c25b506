package webhook

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// terms are what an endpoint goes by. They are replaced as a whole, and not changed.
type terms struct {
	Endpoint
	target    *target
	maxEvents int
	maxBytes  int64
}

// endpoint is an Endpoint and its queue. Its goroutine, run, alone takes from the queue.
type endpoint struct {
	terms   atomic.Pointer[terms]
	log     *slog.Logger
	ctx     context.Context // of all that it does
	stop    context.CancelFunc
	closing chan struct{} // closed when it is to take no more events, and to send what it has
	wake    chan struct{} // tells run that there is something to look at
	freed   chan struct{} // and that another batch may be on its way

	drops, losses, fails throttle

	mu        sync.Mutex // guards the rest
	underWay  int        // batches, with the one that is being gathered
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

func newTerms(c *Config, settings *Endpoint) (*terms, error) {
	if err := settings.validate(); err != nil {
		return nil, err
	}
	t, err := newTarget(settings.URL, settings.Secrets, settings.Headers, c.Transport)
	if err != nil {
		return nil, err
	}
	return &terms{Endpoint: *settings, target: t, maxEvents: c.QueueEvents, maxBytes: c.QueueBytes}, nil
}

func newEndpoint(ctx context.Context, log *slog.Logger, t *terms) *endpoint {
	e := &endpoint{
		log:     log.With("url", t.target.name),
		closing: make(chan struct{}),
		wake:    make(chan struct{}, 1),
		freed:   make(chan struct{}, 1),
	}
	e.terms.Store(t)
	e.ctx, e.stop = context.WithCancel(ctx)
	return e
}

// replace has other terms hold from now on: for what is queued, and for the next attempt of what is under way.
func (e *endpoint) replace(t *terms) {
	e.terms.Store(t)
	signal(e.wake)
	signal(e.freed)
}

// push queues an event, or says that it cannot. An endpoint that is gone takes everything, and nothing comes of it.
func (e *endpoint) push(encoded []byte, now time.Time) bool {
	t := e.terms.Load()
	e.mu.Lock()
	size := int64(len(encoded)) + eventOverhead
	switch {
	case e.disabled:
		e.mu.Unlock()
		return true
	case e.closed || e.events >= t.maxEvents || e.bytes+size > t.maxBytes:
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
		signal(e.wake)
	}
	return true
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has been told already
	}
}

// full says whether there is enough for a batch. The mutex is held.
func (e *endpoint) full() bool {
	t := e.terms.Load()
	return len(e.queue) >= t.BatchEvents || e.waiting >= t.BatchBytes
}

// close has it take no more events, and send what it has. It may come more than once.
func (e *endpoint) close() {
	e.mu.Lock()
	again := e.closed
	e.closed = true
	e.mu.Unlock()
	if !again {
		close(e.closing)
		signal(e.wake)
	}
}

// enter waits until there may be one more batch, and counts it. It returns false when e.ctx has ended.
func (e *endpoint) enter() bool {
	for {
		e.mu.Lock()
		if e.underWay < e.terms.Load().Concurrency {
			e.underWay++
			e.mu.Unlock()
			return true
		}
		e.mu.Unlock()
		select {
		case <-e.freed:
		case <-e.ctx.Done():
			return false
		}
	}
}

func (e *endpoint) leave() {
	e.mu.Lock()
	e.underWay--
	e.mu.Unlock()
	signal(e.freed)
}

// run takes batches from the queue until the endpoint is closed and the queue empty, or e.ctx ends.
func (e *endpoint) run() {
	defer e.stop()
	var deliveries sync.WaitGroup
	for e.ctx.Err() == nil && e.enter() {
		b := e.gather()
		if b == nil {
			break
		}
		deliveries.Go(func() {
			e.deliver(b)
			e.leave()
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
			wait = e.terms.Load().BatchDelay - time.Since(e.queue[0].at)
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
	longest := e.terms.Load().MaxAge
	e.mu.Lock()
	n := 0
	for n < len(e.queue) && time.Since(e.queue[n].at) > longest {
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
	t := e.terms.Load()
	n, bytes := 1, len(e.queue[0].encoded)
	for n < len(e.queue) && n < t.BatchEvents {
		bytes += len(e.queue[n].encoded)
		if bytes > t.BatchBytes {
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
	s.URL, s.Failures, s.Queued, s.Bytes, s.Disabled = e.terms.Load().target.name, e.failures, e.events, e.bytes, e.disabled
	return s
}

// undelivered is how many events were left at Close.
func (e *endpoint) undelivered() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.abandoned
}

func (e *endpoint) isDisabled() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.disabled
}
