package redislink

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Handler is told what happens in one channel of Redis, by one goroutine at a time. It does not wait for anything long: everybody
// else waits meanwhile.
type Handler interface {
	// Ready says that the channel is subscribed to, from now on. Said again, it means that messages may have been missed.
	Ready()
	// Message gives what was published. payload is lent until it returns; nil where it was longer than is taken.
	Message(payload []byte)
}

// SubscriberOptions for [NewSubscriber]. A zero field means the default, which is given with it.
type SubscriberOptions struct {
	// Client is where it connects to; of [NewClient]. It is not closed.
	Client redis.UniversalClient
	// Sharded says that channels are those of SSUBSCRIBE, where Client is one of a cluster.
	Sharded bool
	// Connections is how many there are, or how many to each master of a cluster where channels are sharded. 1.
	Connections int
	// MaxBytes is how long what is published may be. 1 MiB.
	MaxBytes int
	// BeatChannel is a name under which the subscriber publishes, to itself, that it is there, so that it notices when what is
	// published does not reach it; no other process has the same. "": it pings the server it is connected to, and that is what it
	// does where channels are sharded.
	BeatChannel string
	// Beat is how often. 2 s. A connection on which nothing came for three of them is given up.
	Beat time.Duration
	// Lost is called when a connection was lost, with why, and what was published may be missed. None.
	Lost func(error)
	// Logger is told. [slog.Default].
	Logger *slog.Logger
}

// A Subscriber subscribes to channels of Redis, over few connections that it makes as often as need be. Its methods may be called
// from any goroutine, and none waits for the network but Close.
type Subscriber struct {
	o      SubscriberOptions
	seed   maphash.Seed
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup // goroutines

	mu     sync.Mutex
	subs   map[string]*sub // wanted, or still to be given up
	links  map[string]*link
	route  chan struct{} // has room for one: somebody is not where it should be; nil where the hash says which link
	fresh  []*sub        // have no link yet
	closed bool
}

// sub is a channel. Guarded by Subscriber.mu.
type sub struct {
	name    string
	handler Handler // nil: not wanted any more
	link    *link   // nil: not known yet
	dirty   bool    // it is in link.dirty
	sent    bool    // Redis was told on this connection
	settled bool    // and has confirmed
}

// NewSubscriber makes one. It connects when there is something to listen for.
func NewSubscriber(o SubscriberOptions) *Subscriber {
	o.Connections = max(o.Connections, 1)
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	if o.Beat <= 0 {
		o.Beat = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Sharded = o.Sharded && IsCluster(o.Client)
	if o.Sharded {
		o.BeatChannel = ""
	}
	s := &Subscriber{o: o, seed: maphash.MakeSeed(), subs: make(map[string]*sub), links: make(map[string]*link)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.Sharded {
		s.route = make(chan struct{}, 1)
		s.done.Go(s.router)
	}
	return s
}

// Subscribe has h told of what is published in a channel, in place of who was before.
func (s *Subscriber) Subscribe(name string, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	e := s.subs[name]
	if e == nil {
		e = &sub{name: name}
		s.subs[name] = e
		s.place(e)
	}
	e.handler, e.settled, e.sent = h, false, false
	s.mark(e)
}

// Unsubscribe ends that. The handler may be called for a moment still.
func (s *Subscriber) Unsubscribe(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.subs[name]; e != nil && e.handler != nil {
		e.handler = nil
		s.mark(e)
		if e.link == nil {
			delete(s.subs, name)
		}
	}
}

// place finds a link for e, where no question is needed for that. mu is held.
func (s *Subscriber) place(e *sub) {
	if s.route != nil {
		s.fresh = append(s.fresh, e)
		s.reroute()
		return
	}
	key := ""
	if s.o.Connections > 1 {
		key = string('a' + rune(maphash.String(s.seed, e.name)%uint64(s.o.Connections)))
	}
	client, ok := s.o.Client.(*redis.Client)
	if !ok {
		client = nil // any of the cluster: it is asked for when the link connects
	}
	s.attach(e, key, client)
}

// attach has e be one of the link with a key, which is made if need be. mu is held.
func (s *Subscriber) attach(e *sub, key string, client *redis.Client) {
	l := s.links[key]
	if l == nil {
		l = newLink(s, key, client)
		s.links[key] = l
		s.done.Go(l.run)
	}
	e.link = l
	l.subs[e.name] = e
}

// mark has the link of e tell Redis what is wanted. mu is held.
func (s *Subscriber) mark(e *sub) {
	if l := e.link; l != nil && !e.dirty {
		e.dirty = true
		l.dirty = append(l.dirty, e)
		l.wake()
	}
}

func (s *Subscriber) reroute() {
	select {
	case s.route <- struct{}{}:
	default:
	}
}

// Err says why not all connections are there; nil: they are, and so is every subscription that Redis was told of.
func (s *Subscriber) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l.err != nil {
			return l.err
		}
	}
	return nil
}

// Settled says whether Redis has confirmed all that is subscribed to.
func (s *Subscriber) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.subs {
		if e.handler != nil && !e.settled {
			return false
		}
	}
	return true
}

// Close ends the connections. No handler is called any more when it has returned. It must not be called by one.
func (s *Subscriber) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.done.Wait()
}
