// Package redisbus is what the processes of a cluster use of Redis: a bus over Pub/Sub, which is sharded where Redis is a cluster, and a
// shelf. It needs Redis 6.2; a Redis Cluster needs 7, or [Options.Unsharded].
package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/redislink"
	"baro.dev/internal/crew"
)

// Options of a [Bus]. The zero value has the defaults.
type Options struct {
	// Prefix begins the names of channels and keys, up to 64 bytes without braces, spaces and control characters: two clusters that share
	// a Redis have two. Default: "baro:".
	Prefix string
	// MaxBytes is how long the data of a message may be; what is longer and comes from Redis is skipped. Default: 1 MiB.
	MaxBytes int
	// MaxOutgoing is how many bytes may wait for a Redis that is slow; then Publish fails with [cluster.ErrAway]. Default: 16 MiB.
	MaxOutgoing int
	// MaxIncoming is how many bytes may wait for one function of Listen; what is more is lost, and there is a gap.
	// Default: 16 MiB.
	MaxIncoming int
	// Unsharded has a Redis Cluster use PUBLISH, which all of its nodes hear, for clusters of Redis before 7. All processes of a
	// cluster have the same.
	Unsharded bool
	// Beat is how often it is seen to that what is published comes. Default: 2 s; after three of them in which nothing
	// came the connection is made anew.
	Beat time.Duration
	// Logger is told of what is wrong. Default: [slog.Default].
	Logger *slog.Logger
}

// Bus is a [cluster.Bus] and a [cluster.Shelf] on Redis.
//
// What is published waits in a lane for each master, which sends what there is in one pipeline after the other; a channel stays in its lane
// while something of it is there, though its slot has moved. What comes is read by the
// goroutines of a [redislink.Subscriber]. A function of Listen has one while there is something for it.
type Bus struct {
	o       Options
	client  redis.UniversalClient
	sub     *redislink.Subscriber
	prefix  string
	sharded bool
	crew    crew.Crew
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	works   sync.WaitGroup

	skipped atomic.Uint64
	told    atomic.Bool // the log was, that a connection was lost; until Redis confirms a subscription

	mu       sync.Mutex
	subjects map[string]*subject
	gaps     []func()
	gapDue   bool
	lanes    map[*redis.Client]*lane
	homes    map[string]*home // where Redis is a cluster
	waiting  []outgoing       // for a lane
	routing  bool
	unsent   bool // something was lost since something was sent
	bytes    int  // that wait
	idle     chan struct{}
	closed   bool
}

var (
	_ cluster.Bus   = (*Bus)(nil)
	_ cluster.Shelf = (*Bus)(nil)
)

// closeTimeout is how long Close waits for what was sent before.
const closeTimeout = 2 * time.Second

// sendTimeout is how long Redis may take for what is sent at once.
const sendTimeout = 3 * time.Second

// Open makes a bus on one Redis, one with Sentinels (MasterName), or a Redis Cluster (several Addrs, or IsClusterMode). It does not wait
// for Redis.
func Open(r *redis.UniversalOptions, o Options) (*Bus, error) {
	if o.Prefix == "" {
		o.Prefix = "baro:"
	}
	if !redislink.ValidPrefix(o.Prefix) {
		return nil, fmt.Errorf("redisbus: no prefix of keys: %q", o.Prefix)
	}
	for option, usual := range map[*int]int{&o.MaxBytes: 1 << 20, &o.MaxOutgoing: 16 << 20, &o.MaxIncoming: 16 << 20} {
		if *option <= 0 {
			*option = usual
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	client := redislink.NewClient(r)
	b := &Bus{
		o: o, client: client, sharded: redislink.IsCluster(client) && !o.Unsharded,
		prefix:   o.Prefix + "b" + strconv.Itoa(redislink.DB(client)) + ":",
		subjects: make(map[string]*subject), lanes: make(map[*redis.Client]*lane), homes: make(map[string]*home),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	own := "own." + rand.Text()
	b.sub = redislink.NewSubscriber(redislink.SubscriberOptions{
		Client: client, Sharded: b.sharded, MaxBytes: o.MaxBytes, BeatChannel: b.prefix + own + ".beat", Beat: o.Beat, Logger: o.Logger,
		Lost: func(err error) {
			if b.told.CompareAndSwap(false, true) { // each attempt to have it again fails, too
				o.Logger.Warn("redisbus: the connection on which messages come was lost", "error", err)
			}
		},
	})
	// There is a connection, whether or not anybody listens: it tells whether Redis is there.
	if _, err := b.Listen(own, func([]byte) {}); err != nil {
		return nil, err
	}
	return b, nil
}

// valid is whether s is words of a subject.
func valid(s string) bool {
	for word := range strings.SplitSeq(s, ".") {
		if word == "" || strings.ContainsFunc(word, func(c rune) bool {
			return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
		}) {
			return false
		}
	}
	return true
}

// Listen implements [cluster.Bus].
func (b *Bus) Listen(name string, f func(data []byte)) (stop func(), err error) {
	if !valid(name) {
		return nil, fmt.Errorf("redisbus: no subject: %q", name)
	}
	l := &listener{f: f, bus: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, cluster.ErrClosed
	}
	s := b.subjects[name]
	if s == nil {
		s = &subject{bus: b, name: name}
		b.subjects[name] = s
		b.sub.Subscribe(b.prefix+name, s)
	}
	s.listeners = append(slices.Clip(s.listeners), l)
	return func() { b.stop(s, l) }, nil
}

func (b *Bus) stop(s *subject, l *listener) {
	l.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(s.listeners), func(other *listener) bool { return other == l })
	if len(left) == 0 && b.subjects[s.name] == s && !b.closed {
		delete(b.subjects, s.name)
		b.sub.Unsubscribe(b.prefix + s.name)
	}
	s.listeners = left
}

// OnGap implements [cluster.Bus].
func (b *Bus) OnGap(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gaps = append(b.gaps, f)
}

// gapWithin is how soon a gap is told: once, where many subjects have one together.
const gapWithin = 20 * time.Millisecond

// gap has everybody told in a moment that something is missing.
func (b *Bus) gap() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gapLocked()
}

// gapLocked is gap with mu held.
func (b *Bus) gapLocked() {
	if b.gapDue || b.closed {
		return
	}
	b.gapDue = true
	b.works.Go(func() {
		select {
		case <-time.After(gapWithin):
		case <-b.ctx.Done():
			return
		}
		b.mu.Lock()
		b.gapDue = false
		gaps := slices.Clip(b.gaps)
		b.mu.Unlock()
		for _, f := range gaps {
			f()
		}
	})
}

// MaxBytes implements [cluster.Bus].
func (b *Bus) MaxBytes() int { return b.o.MaxBytes }

// Skipped is how many messages were longer than is taken.
func (b *Bus) Skipped() uint64 { return b.skipped.Load() }

// Err implements [cluster.Bus].
func (b *Bus) Err() error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return cluster.ErrClosed
	}
	if err := b.sub.Err(); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrAway, err)
	}
	return nil
}

// Close implements [cluster.Bus]. It waits no longer than 2 seconds for what was sent before.
func (b *Bus) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	for _, s := range b.subjects {
		for _, l := range s.listeners {
			l.end()
		}
	}
	var idle chan struct{}
	if b.bytes > 0 {
		b.idle = make(chan struct{})
		idle = b.idle
	}
	b.mu.Unlock()
	var err error
	if idle != nil {
		select {
		case <-idle:
		case <-time.After(closeTimeout):
			err = cluster.ErrAway
		}
	}
	b.cancel()
	b.sub.Close()
	err = errors.Join(err, b.client.Close()) // which ends what is being sent
	b.works.Wait()
	b.crew.Close()
	return err
}
