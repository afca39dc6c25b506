package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// A Sender posts events to the endpoints of a backend, each in the order in which they were given to Send. Its methods may be
// called from any goroutine.
//
// Each endpoint has a queue, which a goroutine takes batches from; a batch is on its way on a goroutine of its own, of
// which there are as many as the endpoint's Concurrency permits. What fails is tried again, see [Endpoint] and deliver.go.
// The queues are in memory: what they hold ends with the process.
type Sender struct {
	endpoints []*endpoint
	log       *slog.Logger
	invalid   throttle

	closing chan struct{} // closed when Close begins
	close   sync.Once
	stop    context.CancelFunc // ends all that is under way
	running sync.WaitGroup
	idle    func() // closes what connections are left; nil if the transport is another's
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
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	c.Endpoints = slices.Clone(c.Endpoints)
	s := &Sender{log: c.Log, closing: make(chan struct{})}
	conns := 0
	for i := range c.Endpoints {
		c.Endpoints[i] = c.Endpoints[i].withDefaults()
		conns += c.Endpoints[i].Concurrency
	}
	if c.Transport == nil {
		// More than are ever in use, as one endpoint's connections that do not come about are not to be in the way of another's.
		own := NewTransport(nil, 2*conns)
		c.Transport, s.idle = own, own.CloseIdleConnections
	}
	if c.Around != nil {
		c.Transport = c.Around(c.Transport)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for i := range c.Endpoints {
		e, err := newEndpoint(ctx, &c, &c.Endpoints[i], s.closing)
		if err != nil {
			stop()
			return nil, fmt.Errorf("webhook: endpoint %d: %w", i+1, err)
		}
		s.endpoints = append(s.endpoints, e)
	}
	for _, e := range s.endpoints {
		s.running.Go(e.run)
	}
	return s, nil
}

// Send queues an event for every endpoint that wants its type; if there is none, it costs next to nothing. It does not wait.
// It returns false if an endpoint does not get it, because its queue is full, its data cannot be encoded or the sender is
// closed; it is counted as dropped, and logged, once a minute at most. Other endpoints may get it all the same.
func (s *Sender) Send(event Event) bool {
	var encoded []byte
	taken := true
	for _, e := range s.endpoints {
		if !e.wants(&event) {
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
	s.close.Do(func() {
		for _, e := range s.endpoints {
			e.close()
		}
		close(s.closing)
	})
	defer context.AfterFunc(ctx, s.stop)()
	s.running.Wait()
	s.stop()
	if s.idle != nil {
		s.idle()
	}
	lost := 0
	for _, e := range s.endpoints {
		lost += e.undelivered()
	}
	if lost == 0 {
		return nil
	}
	return &UndeliveredError{Events: lost}
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

// Stats tells of every endpoint, in the order of the configuration.
func (s *Sender) Stats() []Stats {
	all := make([]Stats, len(s.endpoints))
	for i, e := range s.endpoints {
		all[i] = e.stats()
	}
	return all
}
