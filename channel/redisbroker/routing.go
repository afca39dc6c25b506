package redisbroker

import (
	"fmt"
	"sync"
	"time"

	"baro.dev/internal/cluster/redislink"
)

// routing finds the lanes of channels where Redis is a cluster: the slots may have to be asked for.
type routing struct {
	mu      sync.Mutex
	waiting []*appender
	working bool
}

func (r *routing) add(b *Broker, a *appender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, a)
	if !r.working {
		r.working = true
		b.done.Go(func() { r.work(b) })
	}
}

func (r *routing) take() []*appender {
	r.mu.Lock()
	defer r.mu.Unlock()
	some := r.waiting
	r.waiting = nil
	r.working = len(some) > 0
	return some
}

func (r *routing) work(b *Broker) {
	for some := r.take(); len(some) > 0; some = r.take() {
		for i, a := range some {
			ctx, cancel := b.timeout()
			c, err := redislink.Master(ctx, b.client, b.keys(a.name)[0])
			cancel()
			if err == nil {
				b.lane(c).add(a)
				continue
			}
			err = fmt.Errorf("%w: asking for the slots: %w", ErrAway, err)
			b.notes.note("Redis does not take messages", err)
			now := time.Now()
			for _, a := range some[i:] {
				b.mu.Lock()
				failed := a.expired(now.Add(-b.o.Timeout))
				b.mu.Unlock()
				b.fail(failed, err)
				if b.release(a, now) {
					r.add(b, a)
				}
			}
			select {
			case <-time.After(lastPause / 4):
			case <-b.ctx.Done():
			}
			break
		}
	}
}
