// Package natsbus is what the processes of a cluster use of NATS: a bus over core NATS, and a shelf.
package natsbus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster"
	"baro.dev/internal/crew"
)

// Options of a [Bus]. The zero value has the defaults.
type Options struct {
	// Prefix is what subjects begin with, words with dots between them: two clusters that share a broker have two. Default: baro.
	Prefix string
	// MaxOutgoing is how many bytes may wait for a connection that is slow; then Publish fails with [cluster.ErrAway]. Default: 16 MiB.
	MaxOutgoing int
	// MaxIncoming is how many bytes may wait for one function of Listen; what is more is lost, and there is a gap.
	// Default: 16 MiB.
	MaxIncoming int
}

// ConnectOptions are what a connection of a cluster needs: it is kept up for ever, a broker that is silent is noticed within seconds, and
// nothing waits for one that is away.
func ConnectOptions() []nats.Option {
	return []nats.Option{
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		nats.Timeout(2 * time.Second),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(5 * time.Second),
	}
}

// Bus is a [cluster.Bus] on a connection to NATS.
//
// One goroutine gives the connection what is sent and listened for, in order; another takes what comes, and a third follows the
// connection. A function of Listen has one while there is something for it.
type Bus struct {
	conn   *nats.Conn
	o      Options
	prefix string
	in     chan *nats.Msg
	crew   crew.Crew
	done   chan struct{}
	works  sync.WaitGroup
	out    outbox

	connected atomic.Bool
	maxBytes  atomic.Int64

	mu       sync.Mutex
	subjects map[string]*subject // by the subject with its prefix
	gaps     []func()
	closed   bool
}

var _ cluster.Bus = (*Bus)(nil)

// incoming is how many messages may wait between the connection and their queues, which is for moments only.
const incoming = 8 << 10

// closeTimeout is how long Close waits for what was sent before.
const closeTimeout = 2 * time.Second

// New makes a bus on a connection, which stays the caller's, who made it with [ConnectOptions].
func New(conn *nats.Conn, o Options) (*Bus, error) {
	if o.Prefix == "" {
		o.Prefix = "baro"
	}
	if !valid(o.Prefix) {
		return nil, fmt.Errorf("natsbus: no prefix of subjects: %q", o.Prefix)
	}
	if o.MaxOutgoing <= 0 {
		o.MaxOutgoing = 16 << 20
	}
	if o.MaxIncoming <= 0 {
		o.MaxIncoming = 16 << 20
	}
	b := &Bus{conn: conn, o: o, prefix: o.Prefix + ".", in: make(chan *nats.Msg, incoming), done: make(chan struct{}),
		subjects: make(map[string]*subject)}
	b.maxBytes.Store(1 << 20) // as servers have it by default
	b.out.init(o.MaxOutgoing)
	before := conn.ErrorHandler()
	conn.SetErrorHandler(func(c *nats.Conn, s *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrSlowConsumer) && s != nil && strings.HasPrefix(s.Subject, b.prefix) {
			b.gap()
		}
		if before != nil {
			before(c, s, err)
		}
	})
	status := conn.StatusChanged()
	reconnects := conn.Stats().Reconnects
	b.look()
	b.works.Add(3)
	go b.follow(status, reconnects)
	go b.write()
	go b.read()
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

// Publish implements [cluster.Bus].
func (b *Bus) Publish(subject string, data []byte) error {
	switch {
	case int64(len(data)) > b.maxBytes.Load():
		return cluster.ErrTooLarge
	case !b.connected.Load():
		return b.away()
	}
	return b.out.publish(b.prefix+subject, data)
}

func (b *Bus) away() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return cluster.ErrClosed
	}
	return cluster.ErrAway
}

// Listen implements [cluster.Bus].
func (b *Bus) Listen(name string, f func(data []byte)) (stop func(), err error) {
	if !valid(name) {
		return nil, fmt.Errorf("natsbus: no subject: %q", name)
	}
	name = b.prefix + name
	l := &listener{f: f, bus: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, cluster.ErrClosed
	}
	s := b.subjects[name]
	if s == nil {
		s = &subject{name: name}
		b.subjects[name] = s
		b.out.change(s, true)
	}
	s.listeners = append(slices.Clip(s.listeners), l)
	return func() { b.stop(s, l) }, nil
}

func (b *Bus) stop(s *subject, l *listener) {
	l.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []*listener
	for _, other := range s.listeners {
		if other != l {
			left = append(left, other)
		}
	}
	if len(left) == 0 && len(s.listeners) > 0 && !b.closed {
		delete(b.subjects, s.name)
		b.out.change(s, false)
	}
	s.listeners = left
}

// OnGap implements [cluster.Bus].
func (b *Bus) OnGap(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gaps = append(b.gaps, f)
}

func (b *Bus) gap() {
	b.mu.Lock()
	gaps := slices.Clip(b.gaps)
	b.mu.Unlock()
	for _, f := range gaps {
		f()
	}
}

// MaxBytes implements [cluster.Bus].
func (b *Bus) MaxBytes() int { return int(b.maxBytes.Load()) }

// Err implements [cluster.Bus].
func (b *Bus) Err() error {
	if b.connected.Load() {
		return nil
	}
	return b.away()
}

// Close implements [cluster.Bus]. It waits no longer than 2 seconds.
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
		b.out.change(s, false)
	}
	b.mu.Unlock()
	b.out.close()
	written := make(chan struct{})
	go func() {
		b.out.flushed.Wait()
		if b.connected.Load() {
			_ = b.conn.FlushTimeout(closeTimeout)
		}
		b.connected.Store(false)
		close(b.done)
		b.works.Wait()
		b.crew.Close()
		close(written)
	}()
	select {
	case <-written:
		return nil
	case <-time.After(closeTimeout):
		return cluster.ErrAway
	}
}

// look sees how the connection is.
func (b *Bus) look() {
	up := b.conn.Status() == nats.CONNECTED
	if up {
		if limit := b.conn.MaxPayload(); limit > 0 {
			b.maxBytes.Store(limit)
		}
	}
	b.connected.Store(up)
}

// follow follows the connection.
func (b *Bus) follow(status chan nats.Status, reconnects uint64) {
	defer b.works.Done()
	defer b.conn.RemoveStatusListener(status)
	for {
		select {
		case <-b.done:
			return
		case _, ok := <-status:
			if !ok { // the connection is closed
				b.connected.Store(false)
				<-b.done
				return
			}
		}
		before := b.connected.Load()
		b.look()
		now := b.conn.Stats().Reconnects
		if b.connected.Load() && (!before || now != reconnects) {
			b.gap()
		}
		reconnects = now
	}
}
