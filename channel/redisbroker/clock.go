package redisbroker

import (
	"context"
	"time"
)

// clockEvery is how often Redis is asked what time it is.
const clockEvery = 10 * time.Second

// Now implements [channel.Broker]: it is the time of Redis, as far as it is known; of a cluster, of one that was asked last.
func (b *Broker) Now() time.Time { return b.clock.Now() }

// readClock asks Redis what time it is.
func (b *Broker) readClock(ctx context.Context) {
	asked := b.clock.Here()
	if at, err := b.client.Time(ctx).Result(); err == nil {
		b.clock.Saw(asked, b.clock.Here(), at)
	}
}

func (b *Broker) readClockAlways() {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		ctx, cancel := b.timeout()
		b.readClock(ctx)
		cancel()
		select {
		case <-tick.C:
		case <-b.ctx.Done():
			return
		}
	}
}
