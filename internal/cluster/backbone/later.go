package backbone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/channel"
)

// ErrNotYet means that the broker of channels has not been there since the server began.
var ErrNotYet = errors.New("the broker has not been there yet")

const (
	// openFirst is how long the first attempt to open a broker may take, and openWithin how long any: each has twice the time of the one
	// before, since what is asked before there is a leader is not answered at all. The next one comes after openPause.
	openFirst  = time.Second
	openWithin = 15 * time.Second
	openPause  = 100 * time.Millisecond
	// remindEvery is how often the log is told that there is none yet.
	remindEvery = 30 * time.Second
)

// opened is what a broker of channels is made of that was opened.
type opened interface {
	channel.Broker
	Err() error
}

// later is a broker that is opened in the background, again and again until it is there; until then everything fails. But what is asked
// during the first attempt waits for that, so that nobody is refused just because the server has begun a moment ago.
type later[B opened] struct {
	broker atomic.Pointer[B]
	tried  chan struct{} // closed when the first attempt is over
	log    *slog.Logger

	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	why     error // the last attempt failed
	closed  bool
	failed  []func() // what is to be told that it failed, in order
	telling bool     // there is a goroutine that tells them
}

func openLater[B opened](log *slog.Logger, open func(context.Context) (B, error)) *later[B] {
	ctx, cancel := context.WithCancel(context.Background())
	l := &later[B]{tried: make(chan struct{}), log: log, cancel: cancel, why: ErrNotYet}
	l.work.Go(func() { l.open(ctx, open) })
	return l
}

func (l *later[B]) open(ctx context.Context, open func(context.Context) (B, error)) {
	within, over := openFirst, sync.OnceFunc(func() { close(l.tried) })
	defer over()
	for told := time.Now(); ; within = min(2*within, openWithin) {
		bounded, cancel := context.WithTimeout(ctx, within)
		b, err := open(bounded)
		cancel()
		l.mu.Lock()
		if err == nil && l.closed {
			l.mu.Unlock()
			_ = b.Close()
			return
		}
		if err == nil {
			l.broker.Store(&b)
			l.mu.Unlock()
			return
		}
		l.why = fmt.Errorf("%w: %w", ErrNotYet, err)
		l.mu.Unlock()
		over()
		if time.Since(told) > remindEvery && ctx.Err() == nil {
			l.log.Warn("the server waits for what joins it with others", "error", err)
			told = time.Now()
		}
		select {
		case <-time.After(openPause):
		case <-ctx.Done():
			return
		}
	}
}

// err says why there is no broker.
func (l *later[B]) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

// Err says why nothing gets through at the moment.
func (l *later[B]) Err() error {
	if b := l.broker.Load(); b != nil {
		return (*b).Err()
	}
	return l.err()
}

// there is the broker, if it is there when the first attempt is over; nil otherwise.
func (l *later[B]) there() *B {
	if b := l.broker.Load(); b != nil {
		return b
	}
	<-l.tried
	return l.broker.Load()
}

// Follow implements [channel.Broker], as do those below.
func (l *later[B]) Follow(name string, recent channel.Keep, feed channel.Feed) (channel.Saved, error) {
	if b := l.there(); b != nil {
		return (*b).Follow(name, recent, feed)
	}
	return channel.Saved{}, l.err()
}

// Unfollow has nothing to do where Follow has failed.
func (l *later[B]) Unfollow(name string) {
	if b := l.broker.Load(); b != nil {
		(*b).Unfollow(name)
	}
}

// Append fails where there is no broker, and as long as somebody is still to be told that it did.
func (l *later[B]) Append(name string, m *channel.Message, keep channel.Keep, done func(channel.Appended, error)) {
	b := l.broker.Load()
	l.mu.Lock()
	if b == nil || len(l.failed) > 0 {
		defer l.mu.Unlock()
		why := l.why
		l.failed = append(l.failed, func() { done(channel.Appended{}, why) })
		if !l.telling {
			l.telling = true
			go l.tellFailed()
		}
		return
	}
	l.mu.Unlock()
	(*b).Append(name, m, keep, done)
}

// tellFailed tells those whose Append failed: each, whatever ends meanwhile, since they wait for nothing else.
func (l *later[B]) tellFailed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.failed) > 0 {
		all := l.failed
		l.mu.Unlock()
		for _, tell := range all {
			tell()
		}
		l.mu.Lock()
		l.failed = l.failed[len(all):]
	}
	l.failed, l.telling = nil, false
}

// Load gives what is kept of a channel.
func (l *later[B]) Load(name string, recent channel.Keep) (channel.Saved, error) {
	if b := l.there(); b != nil {
		return (*b).Load(name, recent)
	}
	return channel.Saved{}, l.err()
}

// Read gives messages.
func (l *later[B]) Read(name, epoch string, after uint64, maxBytes int) ([]*channel.Message, error) {
	if b := l.there(); b != nil {
		return (*b).Read(name, epoch, after, maxBytes)
	}
	return nil, l.err()
}

// Now is the time by the broker's clock, as soon as that is there.
func (l *later[B]) Now() time.Time {
	if b := l.broker.Load(); b != nil {
		return (*b).Now()
	}
	return time.Now()
}

// Close ends the attempts, and the broker if there is one.
func (l *later[B]) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.work.Wait()
	if b := l.broker.Load(); b != nil {
		return (*b).Close()
	}
	return nil
}
