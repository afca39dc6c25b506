package natsbroker

import (
	"container/list"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/clock"
)

// A Broker is a [channel.Broker] on NATS JetStream. Make one with [Open].
type Broker struct {
	nc         *nats.Conn
	options    Options
	stream     *stream
	calls      *calls
	api        string // what the subjects of JetStream's API begin with
	maxPayload atomic.Int64
	stats      counters
	log        *logger
	clock      clock.Clock // of NATS
	clockRead  time.Time   // when it was last read by a record; for the prober

	ctx        context.Context // ends when the broker is closed
	cancel     context.CancelFunc
	goroutines sync.WaitGroup
	connection chan func() // what one goroutine does that may wait for the connection
	reading    chan struct{}
	feeding    []*feeder
	seed       maphash.Seed // by which channels are given to those
	poked      chan struct{}

	mu      sync.Mutex
	more    sync.Cond // for the sender, and for Close
	topics  map[string]*topic
	follows map[string]*topic // by the subject where it is heard
	idle    list.List         // topics that nobody uses; the latest first
	active  map[*topic]struct{}
	run     []*topic // that the sender is to look at
	flights int
	waiting int64 // bytes
	entries int
	behind  []chased
	chasers int
	fresh   []fresh // followed a moment ago
	closing bool
	closed  bool
	away    error
}

// Open makes a broker on a connection, which remains the caller's, and should reconnect for ever (nats.MaxReconnects), not wait
// for a server that does not read for longer than some seconds (nats.FlusherTimeout), and keep nothing while it is away
// (nats.ReconnectBufSize(-1)). It makes the stream where it is not there, and waits for a connection and a leader as long as ctx lasts.
// The error is that of ctx, or [ErrStream].
func Open(ctx context.Context, nc *nats.Conn, o *Options) (*Broker, error) {
	options, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Broker{
		nc: nc, options: options, api: "$JS.API.", connection: make(chan func(), 4096), reading: make(chan struct{}, 256),
		poked: make(chan struct{}, 1), seed: maphash.MakeSeed(),
		topics: make(map[string]*topic), follows: make(map[string]*topic), active: make(map[*topic]struct{}),
	}
	if options.Domain != "" {
		b.api = "$JS." + options.Domain + ".API."
	}
	b.more.L = &b.mu
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.log = &logger{to: options.Logger}
	b.clock.Local = options.Clock
	if b.stream, err = newStream(nc, &b.options, &b.clock, b.forgetEnds); err != nil {
		return nil, err
	}
	if err := b.stream.begin(ctx); err != nil {
		return nil, err
	}
	b.maxPayload.Store(min(nc.MaxPayload(), maxRecord))
	if b.calls, err = newCalls(nc, b.try, b.forgetEnds); err != nil {
		return nil, err
	}
	b.goroutines.Add(5)
	go b.connect()
	b.readClock(ctx)
	go b.send()
	go b.watch()
	go b.probe()
	go b.verifyAlways()
	b.startFeeding()
	return b, nil
}

// subject is where a channel is published.
func (b *Broker) subject(name string) string { return b.options.Prefix + ".p." + cluster.Word(name) }

// heard is where a channel is heard.
func (b *Broker) heard(name string) string { return b.options.Prefix + ".r." + cluster.Word(name) }

// connect does what may wait for the connection, where a server does not read for instance.
func (b *Broker) connect() {
	defer b.goroutines.Done()
	for {
		select {
		case f := <-b.connection:
			f()
		case <-b.ctx.Done():
			for { // subscriptions end
				select {
				case f := <-b.connection:
					f()
				default:
					return
				}
			}
		}
	}
}

// try has connect do f, and says whether it will.
func (b *Broker) try(f func()) bool {
	select {
	case b.connection <- f:
		return true
	default:
		return false
	}
}

// spawn runs f on a goroutine that Close waits for.
func (b *Broker) spawn(f func(ctx context.Context)) {
	b.goroutines.Go(func() { f(b.ctx) })
}

// Close waits for what is on its way, [Options.Timeout] at most, and ends the broker; the connection remains. Where the server does not
// read it takes as long as the connection waits for that (nats.FlusherTimeout). Closing again does nothing.
func (b *Broker) Close() error {
	b.mu.Lock()
	if b.closing {
		for !b.closed {
			b.more.Wait()
		}
		b.mu.Unlock()
		b.goroutines.Wait()
		return nil
	}
	b.closing = true
	for b.entries > 0 { // each is told within the timeout
		b.more.Wait()
	}
	b.closed = true
	b.more.Broadcast()
	var followed []*topic
	for _, t := range b.follows {
		followed = append(followed, t)
	}
	b.mu.Unlock()
	for _, t := range followed {
		b.Unfollow(t.name)
	}
	b.cancel()
	b.goroutines.Wait()
	err := b.calls.sub.Unsubscribe()
	if err == nats.ErrConnectionClosed {
		err = nil
	}
	return err
}

// Err says why nothing gets through at the moment; nil: it does, as far as is known.
func (b *Broker) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.away
}

// operation bounds how long something takes, and how many take place at once. end is called after it.
func (b *Broker) operation(op string) (ctx context.Context, end func(), err error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
	select {
	case b.reading <- struct{}{}:
	case <-ctx.Done():
		cancel()
		if b.ctx.Err() != nil {
			return nil, nil, ErrClosed
		}
		return nil, nil, fmt.Errorf("%w: too much is read at once", ErrAway)
	}
	return ctx, func() {
		<-b.reading
		cancel()
		b.options.Observe(op, time.Since(begun).Seconds())
	}, nil
}

var _ channel.Broker = (*Broker)(nil)
