package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Sender posts events to the endpoints of a backend, each in the order in which they were given to Send. Its methods may be
// called from any goroutine.
//
// Each endpoint has a queue, which a goroutine takes batches from; a batch is on its way on a goroutine of its own, of
// which there are as many as the endpoint's Concurrency permits. What fails is tried again, see [Endpoint] and deliver.go.
// The queues are in memory: what they hold ends with the process.
type Sender struct {
	endpoints atomic.Pointer[[]*endpoint]
	log       *slog.Logger
	invalid   throttle

	ctx     context.Context    // of all that is under way
	stop    context.CancelFunc // ends it
	running sync.WaitGroup

	mu     sync.Mutex // guards the rest, and that nothing is added to running after Close
	closed bool
	all    map[*endpoint]struct{} // also those that are no more in the configuration, and have something to send yet
	lost   int                    // what was left of those that have ended
	gone   Stats                  // what they have done
	idle   func()                 // closes what connections are left; nil if the transport is another's
}

// An UndeliveredError says how many events were left when the time of [Sender.Close] was over: in queues, or under way without
// an answer. An event for two endpoints is two of them.
type UndeliveredError struct{ Events int }

func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("webhook: closed with %d events undelivered", e.Events)
}

// New makes a sender and starts it. The errors are about the configuration.
func New(c Config) (*Sender, error) {
	c = c.withDefaults()
	s := &Sender{log: c.Log, all: map[*endpoint]struct{}{}}
	s.endpoints.Store(new([]*endpoint))
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.Replace(c); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// Replace has the sender go by another configuration, but for its log. An endpoint that stays, which is one of the same URL, keeps its
// queue, and what is under way to it; if it had answered that it is gone, it is asked anew. One that is not there any more gets
// what is queued, and nothing else. The errors are about the configuration: nothing has changed then.
func (s *Sender) Replace(c Config) error {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	c.Endpoints = slices.Clone(c.Endpoints)
	conns := 0
	for i := range c.Endpoints {
		c.Endpoints[i] = c.Endpoints[i].withDefaults()
		conns += c.Endpoints[i].Concurrency
	}
	var idle func()
	if c.Transport == nil {
		// More than are ever in use, as one endpoint's connections that do not come about are not to be in the way of another's.
		own := NewTransport(nil, 2*conns)
		c.Transport, idle = own, own.CloseIdleConnections
	}
	if c.Around != nil {
		c.Transport = c.Around(c.Transport)
	}
	list := make([]*terms, len(c.Endpoints))
	for i := range list {
		var err error
		if list[i], err = newTerms(&c, &c.Endpoints[i]); err != nil {
			return fmt.Errorf("webhook: endpoint %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("webhook: the sender is closed")
	}
	if s.idle != nil {
		defer s.idle()
	}
	s.idle = idle
	s.replace(list)
	return nil
}

// replace has endpoints of these terms from now on. mu is held.
func (s *Sender) replace(list []*terms) {
	before := *s.endpoints.Load()
	stay := matching(before, list)
	next := make([]*endpoint, len(list))
	for i, t := range list {
		e := stay[i]
		if e == nil {
			e = newEndpoint(s.ctx, s.log, t)
			s.all[e] = struct{}{}
			s.running.Go(func() {
				e.run()
				s.ended(e)
			})
		} else {
			e.replace(t)
		}
		next[i] = e
	}
	s.endpoints.Store(&next)
	for _, e := range before {
		if !slices.Contains(next, e) {
			e.close()
		}
	}
}

// matching finds for each of the terms the endpoint that it is about; nil if that is new. What is secret in a URL may change.
func matching(all []*endpoint, list []*terms) []*endpoint {
	all = slices.DeleteFunc(slices.Clone(all), (*endpoint).isDisabled)
	found := make([]*endpoint, len(list))
	for _, same := range []func(a, b *target) bool{
		func(a, b *target) bool { return a.url == b.url },
		func(a, b *target) bool { return a.name == b.name },
	} {
		for i, t := range list {
			at := slices.IndexFunc(all, func(e *endpoint) bool { return same(e.terms.Load().target, t.target) })
			if found[i] == nil && at >= 0 {
				found[i] = all[at]
				all = slices.Delete(all, at, at+1)
			}
		}
	}
	return found
}

// ended is called when an endpoint has nothing more to do.
func (s *Sender) ended(e *endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, e)
	s.lost += e.undelivered()
	s.gone.add(e.stats())
}

// Send queues an event for every endpoint that wants its type; if there is none, it costs next to nothing. It does not wait.
// It returns false if an endpoint does not get it, because its queue is full, its data cannot be encoded or the sender is
// closed; it is counted as dropped, and logged, once a minute at most. Other endpoints may get it all the same.
func (s *Sender) Send(event Event) bool {
	var encoded []byte
	taken := true
	for _, e := range *s.endpoints.Load() {
		if !e.terms.Load().wants(&event) {
			continue
		}
		if encoded == nil {
			var err error
			if encoded, err = event.encode(); err != nil {
				if n, ok := s.invalid.allow(1); ok {
					s.log.Error("an event cannot be encoded", "error", err, "events", n)
				}
				return false
			}
		}
		taken = e.push(encoded, time.Now()) && taken
	}
	return taken
}

func (e *Event) encode() ([]byte, error) {
	id, at := e.ID, e.Time
	if id == "" {
		id = newID("evt_")
	}
	if at.IsZero() {
		at = time.Now()
	}
	return appendEnvelope(nil, id, e.Type, at, e.Data)
}

// Close takes no more events, sends what is queued at once, and returns when all is done with, or ctx is. What failed is tried
// once more right away, and then as ever. What is left in the end is told by an [*UndeliveredError], which is then what
// every call of Close returns. No goroutine is left.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for e := range s.all {
		e.close()
	}
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.stop)()
	s.running.Wait()
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil {
		s.idle()
	}
	if s.lost == 0 {
		return nil
	}
	return &UndeliveredError{Events: s.lost}
}

// Stats are how an endpoint does.
type Stats struct {
	URL      string // without what may be secret in it: name, password and query
	Sent     uint64 // events that the endpoint has accepted
	Failed   uint64 // events that were given up: refused, too old, or the endpoint is gone
	Dropped  uint64 // events that the queue had no room for, or that were left at Close
	Requests uint64 // made, repeated ones too
	Failures int    // how many requests have failed since the last that did not
	Queued   int    // events that wait or are on their way
	Bytes    int64  // about what they take
	Disabled bool   // the endpoint answered 410: it gets nothing more
}

// Totals are the sums of all endpoints that there have been.
func (s *Sender) Totals() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.gone
	for e := range s.all {
		all.add(e.stats())
	}
	return all
}

func (s *Stats) add(other Stats) {
	s.Sent += other.Sent
	s.Failed += other.Failed
	s.Dropped += other.Dropped
	s.Requests += other.Requests
	s.Queued += other.Queued
	s.Bytes += other.Bytes
}

// HasEndpoints says whether anybody gets events.
func (s *Sender) HasEndpoints() bool { return len(*s.endpoints.Load()) > 0 }

// Stats tells of every endpoint, in the order of the configuration.
func (s *Sender) Stats() []Stats {
	now := *s.endpoints.Load()
	all := make([]Stats, len(now))
	for i, e := range now {
		all[i] = e.stats()
	}
	return all
}
