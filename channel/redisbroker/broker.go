package redisbroker

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/internal/cluster/clock"
	"baro.dev/internal/cluster/redislink"
)

// A Broker is a [channel.Broker] on Redis. Make one with [Open].
type Broker struct {
	o       Options
	client  redis.UniversalClient
	sub     *redislink.Subscriber
	pubsub  string // begins the channels of Pub/Sub
	scripts scripts
	notes   notes

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   sync.WaitGroup

	queued   atomic.Int64 // bytes that wait
	counters counters

	// While mu is held the locks of the subscriber, of lanes and of stale may be taken, and none of the broker's own otherwise.
	mu        sync.Mutex
	logs      map[string]*appender
	lanes     map[*redis.Client]*lane
	followers map[string]*follower
	pending   int           // of Append
	drained   chan struct{} // closed when pending is 0 after Close
	closed    bool

	routing routing
	stale   stale
	clock   clock.Clock // of Redis
}

var _ channel.Broker = (*Broker)(nil)

// Open makes a broker on one Redis, one with Sentinels (MasterName), or a Redis Cluster (several Addrs, or IsClusterMode). It does
// not wait for Redis; what is wrong with it is logged, and told by [Broker.Err]. The client is the broker's own; it never gives a
// command twice, whatever r says. The error is [ErrOptions].
func Open(r *redis.UniversalOptions, o *Options) (*Broker, error) {
	options, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = &redis.UniversalOptions{}
	}
	own := *r
	if own.ReadTimeout == 0 {
		own.ReadTimeout = options.Timeout
	}
	if own.WriteTimeout == 0 {
		own.WriteTimeout = options.Timeout
	}
	client := redislink.NewClient(&own)
	sharded := redislink.IsCluster(client) && !options.Unsharded
	publish := "PUBLISH"
	if sharded {
		publish = "SPUBLISH"
	}
	b := &Broker{
		o: options, client: client, pubsub: options.Prefix + "p" + strconv.Itoa(redislink.DB(client)) + ":",
		scripts: newScripts(publish, options.MaxMessageBytes+headBytes+1),
		logs:    make(map[string]*appender), lanes: make(map[*redis.Client]*lane), followers: make(map[string]*follower),
	}
	b.notes.log = options.Logger
	b.clock.Local = options.Clock
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.sub = redislink.NewSubscriber(redislink.SubscriberOptions{
		Client: client, Sharded: sharded, Connections: options.Connections, MaxBytes: max(maxBatchBytes, options.MaxMessageBytes) + 64<<10,
		BeatChannel: b.pubsub + "beat:" + newEpoch(), Logger: options.Logger,
		Lost: func(err error) { b.notes.note("the connection on which messages come was lost", err) },
	})
	b.done.Go(b.audit)
	b.done.Go(b.readClockAlways)
	b.done.Go(b.checkServers)
	return b, nil
}

// Err says why nothing gets through to Redis at the moment, or is likely not to; nil: it does. That publishing has failed is believed
// for Options.Timeout, if nobody publishes meanwhile.
func (b *Broker) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.lanes {
		if err := l.failing(); err != nil {
			return err
		}
	}
	if err := b.sub.Err(); err != nil {
		return fmt.Errorf("%w: subscribing: %w", ErrAway, err)
	}
	return nil
}

// Close waits for what is being published, at most as long as that may take (see Options.Timeout), and ends the broker.
func (b *Broker) Close() error {
	b.mu.Lock()
	again := b.closed
	b.closed = true
	var drained chan struct{}
	if !again && b.pending > 0 {
		b.drained = make(chan struct{})
		drained = b.drained
	}
	b.mu.Unlock()
	if again {
		return nil
	}
	if drained != nil {
		<-drained
	}
	b.cancel()
	b.sub.Close()
	b.done.Wait()
	return b.client.Close()
}

// keys are the names of what is kept of a channel, in the order that the scripts know.
func (b *Broker) keys(name string) []string {
	base := b.o.Prefix + "c:" + redislink.Tag(name) + ":"
	return []string{base + "m", base + "l", base + "k", base + "o", base + "n"}
}

// run has Redis run a script that may be run again.
func (b *Broker) run(ctx context.Context, script *redis.Script, name string, args []byte) (*answer, error) {
	v, err := redislink.Run(ctx, b.client, script, b.keys(name), args)
	if err != nil {
		return nil, named(err)
	}
	return answerOf(v), nil
}

// named says what kind of error err is.
func named(err error) error {
	switch {
	case redis.HasErrorPrefix(err, "BARONEWER"):
		return fmt.Errorf("%w: %w", ErrNewer, err)
	case redislink.Refused(err) && !redislink.Passing(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func (b *Broker) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, b.o.Timeout)
}

func (b *Broker) observe(op string, count int, from time.Time, err error) {
	b.o.Observe(Observation{Op: op, Count: count, Took: time.Since(from), Err: err})
}
