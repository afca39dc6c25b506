package redisadapter

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	listenQuiet  = 5 * time.Second // after so much silence Redis is asked whether it is there, after as much again it is not
	reconnectMin = 50 * time.Millisecond
	reconnectMax = 2 * time.Second
	subscribeMax = 1000 // channels in a command
)

// shards hears channels, in Redis Cluster those of sharded Pub/Sub at the node that has them. What is wanted is said at once, and
// comes about as soon as Redis does: nobody waits for it, and a connection that breaks is made anew.
type shards struct {
	client  redis.UniversalClient
	sharded bool
	log     *slog.Logger
	heard   func(channel string, payload string) // by one goroutine at a time
	hearing sync.Mutex

	mu      sync.Mutex
	wanted  map[string]bool
	dirty   map[string]bool // whose subscription is not yet what is wanted
	nodes   map[string]*listener
	at      map[string]*listener // where a channel is heard, or is being subscribed to
	heardAt map[string]bool      // which Redis has said are subscribed to
	told    chan struct{}        // closed when it says so
	err     error                // why nothing is heard
	wake    chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// listener is a connection that hears channels. Only the goroutine of shards subscribes, and only its own one receives.
type listener struct {
	addr     string
	pubsub   *redis.PubSub
	channels map[string]bool
	heard    atomic.Uint64 // whatever came
}

func newShards(client redis.UniversalClient, sharded bool, log *slog.Logger, heard func(channel, payload string)) *shards {
	s := &shards{
		client: client, sharded: sharded, log: log, heard: heard, wanted: map[string]bool{}, dirty: map[string]bool{},
		nodes: map[string]*listener{}, at: map[string]*listener{}, heardAt: map[string]bool{}, told: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.run)
	return s
}

// want says which channels are to be heard.
func (s *shards) want(channels ...string) { s.change(true, channels) }

// forget says which channels need not be heard any more.
func (s *shards) forget(channels ...string) { s.change(false, channels) }

func (s *shards) change(wanted bool, channels []string) {
	s.mu.Lock()
	for _, c := range channels {
		if wanted {
			s.wanted[c] = true
		} else {
			delete(s.wanted, c)
		}
		s.dirty[c] = true
	}
	s.mu.Unlock()
	s.notify()
}

func (s *shards) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close ends it. It waits for what is being heard.
func (s *shards) close() {
	s.cancel()
	s.mu.Lock()
	for _, l := range s.nodes {
		_ = l.pubsub.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *shards) run() {
	delay := reconnectMin
	for {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		if err := s.catchUp(); err == nil {
			delay = reconnectMin
			continue
		}
		select {
		case <-time.After(delay):
		case <-s.ctx.Done():
			return
		}
		delay = min(2*delay, reconnectMax)
		s.notify()
	}
}

// catchUp subscribes to what is wanted, and unsubscribes from the rest.
func (s *shards) catchUp() error {
	on, off := s.take()
	for l, channels := range off {
		for batch := range slices.Chunk(channels, s.batch()) {
			if err := s.command(l.pubsub.SUnsubscribe, l.pubsub.Unsubscribe, batch); err != nil {
				s.lost(l, err)
				break
			}
		}
	}
	var wrong error
	away := map[string]bool{} // nodes, for which the others do not wait; "": nobody knows who has what
	for batch := range slices.Chunk(on, s.batch()) {
		var n node
		var err error
		if !away[""] {
			n, err = s.node(batch[0])
		}
		if err == nil && !away[n.addr] {
			err = s.subscribe(n, batch)
		}
		if err != nil {
			wrong, away[n.addr] = err, true
		}
		if away[n.addr] {
			s.again(batch)
		}
	}
	s.state(wrong)
	return wrong
}

// again has channels be looked at with the next ones.
func (s *shards) again(channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range channels {
		s.dirty[c] = true
	}
}

// subscribe has channels be heard on the connection to a node.
func (s *shards) subscribe(n node, channels []string) error {
	l, err := s.listener(n)
	if err != nil {
		return err
	}
	return s.subscribeOn(l, channels)
}

// subscribeOn has channels be heard on a connection.
func (s *shards) subscribeOn(l *listener, channels []string) error {
	s.mu.Lock()
	for _, c := range channels {
		s.at[c], l.channels[c] = l, true
	}
	s.mu.Unlock()
	err := s.command(l.pubsub.SSubscribe, l.pubsub.Subscribe, channels)
	if err != nil {
		s.lost(l, err)
	}
	return err
}

// take returns the channels that are to be subscribed to, and for each connection those that are to be unsubscribed from.
func (s *shards) take() (on []string, off map[*listener][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.dirty {
		switch l := s.at[c]; {
		case s.wanted[c] && l == nil:
			on = append(on, c)
		case !s.wanted[c] && l != nil:
			if off == nil {
				off = map[*listener][]string{}
			}
			off[l] = append(off[l], c)
			delete(s.at, c)
			delete(s.heardAt, c)
			delete(l.channels, c)
		}
	}
	clear(s.dirty)
	return on, off
}

// batch is how many channels may stand in one command: in Redis Cluster all would need one slot.
func (s *shards) batch() int {
	if s.cluster() != nil {
		return 1
	}
	return subscribeMax
}

func (s *shards) cluster() *redis.ClusterClient {
	if c, ok := s.client.(*redis.ClusterClient); ok && s.sharded {
		return c
	}
	return nil
}

func (s *shards) command(sharded, plain func(context.Context, ...string) error, channels []string) error {
	if s.sharded {
		return sharded(s.ctx, channels...)
	}
	return plain(s.ctx, channels...)
}

// state logs when nothing is heard any more, and when it is again.
func (s *shards) state(err error) {
	s.mu.Lock()
	before := s.err
	if s.err = err; err != nil && before == nil {
		close(s.told) // who waits is told
		s.told = make(chan struct{})
	}
	s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
	case err != nil && before == nil:
		s.log.Error("Redis is away: this server hears nothing of others", "error", err)
	case err == nil && before != nil:
		s.log.Info("Redis is back: this server hears the others again")
	}
}

// failure says why nothing is heard at the moment; nil: nothing is known to be wrong.
func (s *shards) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
