package redisadapter

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// wire is what the adapters of the namespaces of a server share: who sends, and who hears Pub/Sub. It is there while there are adapters.
type wire struct {
	client   redis.UniversalClient
	sharded  bool
	log      *slog.Logger
	maxBytes int // that wait to be sent

	mu    sync.Mutex
	users int
	send  *sender
	hear  *shards

	handlers sync.Map // channel → func(payload string)
}

// newWire returns a wire that is not connected yet. It panics if the client is of a kind that cannot do what is needed.
func newWire(client redis.UniversalClient, sharded bool, log *slog.Logger, maxBytes int) *wire {
	switch client.(type) {
	case *redis.Client, *redis.ClusterClient:
	default:
		panic(fmt.Sprintf("redisadapter: the client is a %T, and neither a *redis.Client nor a *redis.ClusterClient", client))
	}
	return &wire{client: client, sharded: sharded, log: log, maxBytes: maxBytes}
}

// open is called for each adapter.
func (w *wire) open() (*sender, *shards) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users++; w.users == 1 {
		w.send = newSender(w.client, w.log, w.maxBytes)
		w.hear = newShards(w.client, w.sharded, w.log, func(channel, payload string) {
			if f, ok := w.handlers.Load(channel); ok {
				f.(func(string))(payload)
			}
		})
	}
	return w.send, w.hear
}

// close is called by each adapter, once; what was sent before leaves if Redis takes it soon.
func (w *wire) close() {
	w.mu.Lock()
	w.users--
	last, send, hear := w.users == 0, w.send, w.hear
	w.mu.Unlock()
	if last {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		send.close(ctx)
		hear.close()
	}
}

// listen has f called with what comes on a channel.
func (w *wire) listen(hear *shards, channel string, f func(payload string)) {
	w.handlers.Store(channel, f)
	hear.want(channel)
}

func (w *wire) unlisten(hear *shards, channel string) {
	w.handlers.Delete(channel)
	hear.forget(channel)
}

// subscribers returns how many have subscribed to a channel: in Redis Cluster at any node, unless it is sharded.
func subscribers(ctx context.Context, client redis.UniversalClient, sharded bool, channel string) (int, error) {
	return within(ctx, func() (int, error) { return count(ctx, client, sharded, channel) })
}

// reload has the client of a Redis Cluster ask anew which node has what, in a moment.
func reload(client redis.UniversalClient) {
	if c, ok := client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}

// within waits for f no longer than ctx says: clients of Redis go by their own timeouts unless told otherwise.
func within[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

func count(ctx context.Context, client redis.UniversalClient, sharded bool, channel string) (int, error) {
	at := func(ctx context.Context, c redis.Cmdable) (int64, error) {
		ask := c.PubSubNumSub
		if sharded {
			ask = c.PubSubShardNumSub
		}
		n, err := ask(ctx, channel).Result()
		return n[channel], err
	}
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		n, err := at(ctx, client)
		return int(n), err
	}
	if sharded {
		node, err := cluster.MasterForKey(ctx, channel)
		if err != nil {
			return 0, err
		}
		n, err := at(ctx, node)
		return int(n), err
	}
	var sum, answered atomic.Int64
	err := cluster.ForEachShard(ctx, func(ctx context.Context, c *redis.Client) error {
		n, err := at(ctx, c)
		if err == nil {
			sum.Add(n)
			answered.Add(1)
		}
		return err
	})
	if answered.Load() > 0 {
		err = nil // who has subscribed to a node that is gone hears nothing
	}
	return int(sum.Load()), err
}
