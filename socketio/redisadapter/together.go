package redisadapter

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// together publishes for many goroutines, each of which waits for its answer: what comes while something is under way goes in one
// pipeline when that is answered. Whoever comes alone publishes by itself, without a goroutine in between.
type together struct {
	client redis.UniversalClient

	mu    sync.Mutex
	busy  bool
	queue []*letter
}

type letter struct {
	channel string
	message []byte
	done    chan error // has room for the answer, should nobody wait any more
}

func (t *together) publish(ctx context.Context, channel string, message []byte) error {
	t.mu.Lock()
	if !t.busy {
		t.busy = true
		t.mu.Unlock()
		defer t.next()
		return t.client.Publish(ctx, channel, message).Err()
	}
	l := &letter{channel, message, make(chan error, 1)}
	t.queue = append(t.queue, l)
	t.mu.Unlock()
	select {
	case err := <-l.done:
		return err
	case <-ctx.Done():
		t.withdraw(l)
		return ctx.Err()
	}
}

// withdraw takes a letter out of the queue, if it is still there: who does not wait is not to fill it.
func (t *together) withdraw(l *letter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.queue, l); i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
	}
}

// next has what has come meanwhile be sent, if there is anything.
func (t *together) next() {
	if batch := t.take(nil); batch != nil {
		go func() {
			for ; batch != nil; batch = t.take(batch) {
				t.send(batch)
			}
		}()
	}
}

// take returns what is sent next, in the memory of what was sent last; nil: nothing, and nobody is busy any more.
func (t *together) take(last []*letter) []*letter {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, bytes := 0, 0
	for n < len(t.queue) && n < batchCommands && (n == 0 || bytes+len(t.queue[n].message) <= batchBytes) {
		bytes += len(t.queue[n].message)
		n++
	}
	if n == 0 {
		t.busy, t.queue = false, nil
		return nil
	}
	clear(last)
	batch := append(last[:0], t.queue[:n]...)
	clear(t.queue[:n])
	t.queue = t.queue[n:]
	return batch
}

func (t *together) send(batch []*letter) {
	pipe := t.client.Pipeline()
	answers := make([]*redis.IntCmd, len(batch))
	for i, l := range batch {
		answers[i] = pipe.Publish(context.Background(), l.channel, l.message)
	}
	_, _ = pipe.Exec(context.Background()) // each command has its error
	for i, l := range batch {
		l.done <- answers[i].Err()
	}
}
