package server

import (
	"errors"
	"sync/atomic"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cluster/backbone"
	"baro.dev/internal/metrics"
)

// brokerDoubt is how long a broker that has failed is taken for one that does, unless it does something: whether it is there is looked at
// as well.
const brokerDoubt = 5 * time.Second

// watchedBroker is a broker whose time is measured, and of which is known whether it fails.
type watchedBroker struct {
	channel.Broker
	backbone *backbone.Backbone
	metrics  *metrics.Metrics
	failed   atomic.Pointer[absence] // when it has last, and why; nil: it has served since
	served   atomic.Bool             // once
}

// failing says why the broker has failed lately; nil: it has served since, or nobody has asked it for a while.
func (b *watchedBroker) failing() error {
	f := b.failed.Load()
	if f == nil || time.Since(f.since) >= brokerDoubt {
		return nil
	}
	return f.why
}

// used says whether it has ever done what it was asked for, or been there.
func (b *watchedBroker) used() bool { return b.served.Load() }

// done notes how an operation went.
func (b *watchedBroker) done(operation string, begun time.Time, err error) {
	b.metrics.Broker(operation, time.Since(begun), err == nil)
	switch {
	case err == nil:
		b.served.Store(true)
		if f := b.failed.Load(); f != nil && (f.operation != "append" || operation == "append") { // what keeps nothing any more may be read
			b.failed.Store(nil)
		}
	case errors.Is(err, channel.ErrInvalid), b.backbone.Message != nil && b.backbone.Message(err):
		// It is about one message or one channel.
	default:
		b.failed.Store(&absence{time.Now(), err, operation})
	}
}

// Follow implements [channel.Broker], as do those below.
func (b *watchedBroker) Follow(name string, recent channel.Keep, feed channel.Feed) (channel.Saved, error) {
	begun := time.Now()
	saved, err := b.Broker.Follow(name, recent, feed)
	b.done("follow", begun, err)
	return saved, err
}

// Append notes how it went before it says so.
func (b *watchedBroker) Append(name string, m *channel.Message, keep channel.Keep, done func(channel.Appended, error)) {
	begun := time.Now()
	b.Broker.Append(name, m, keep, func(a channel.Appended, err error) {
		b.done("append", begun, err)
		done(a, err)
	})
}

// Load measures what is kept of a channel.
func (b *watchedBroker) Load(name string, recent channel.Keep) (channel.Saved, error) {
	begun := time.Now()
	saved, err := b.Broker.Load(name, recent)
	b.done("load", begun, err)
	return saved, err
}

// Read measures a part of a history.
func (b *watchedBroker) Read(name, epoch string, after uint64, maxBytes int) ([]*channel.Message, error) {
	begun := time.Now()
	messages, err := b.Broker.Read(name, epoch, after, maxBytes)
	b.done("read", begun, err)
	return messages, err
}
