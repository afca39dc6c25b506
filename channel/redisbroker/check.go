package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkServers looks, once Redis is there, whether it is one that keeps what it is given.
func (b *Broker) checkServers() {
	for pause := lastPause; ; pause = min(2*pause, 30*time.Second) {
		ctx, cancel := b.timeout()
		err := b.eachMaster(ctx, b.checkServer)
		cancel()
		if err == nil || b.ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Broker) eachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	switch c := b.client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, f)
	case *redis.Client:
		return f(ctx, c)
	}
	return nil
}

// checkServer warns of what is wrong with a server; where it may not ask it does not.
func (b *Broker) checkServer(ctx context.Context, c *redis.Client) error {
	log := b.o.Logger.With("server", c.Options().Addr)
	info, err := c.InfoMap(ctx, "server").Result()
	if err != nil {
		return ignoreRefusal(err)
	}
	_, cluster := b.client.(*redis.ClusterClient)
	least, why := "6.2", "older ones are not supported"
	if cluster && !b.o.Unsharded {
		least, why = "7.0", "older ones have no sharded Pub/Sub: see Options.Unsharded"
	}
	if version := info["Server"]["redis_version"]; olderThan(version, least) {
		log.Error("channel/redisbroker: Redis is too old", "version", version, "least", least, "why", why)
	}
	for _, s := range []struct{ name, bad, why string }{
		{"maxmemory-policy", "allkeys", "it may drop channels at any time: use noeviction"},
		{"maxmemory-policy", "volatile", "it may drop channels at any time: use noeviction"},
		{"appendonly", "no", "what was acknowledged may be lost when Redis restarts: use appendonly yes"},
	} {
		values, err := c.ConfigGet(ctx, s.name).Result()
		if err != nil {
			return ignoreRefusal(err)
		}
		if strings.HasPrefix(values[s.name], s.bad) {
			log.Warn("channel/redisbroker: how Redis is configured", "setting", s.name, "value", values[s.name], "why", s.why)
		}
	}
	return nil
}

// ignoreRefusal: who may not ask does not know.
func ignoreRefusal(err error) error {
	if answer := redis.Error(nil); errors.As(err, &answer) && !redis.HasErrorPrefix(err, "LOADING") {
		return nil
	}
	return fmt.Errorf("checking: %w", err)
}

// olderThan compares versions by their first two numbers. What is no version is not older.
func olderThan(version, least string) bool {
	parts := func(s string) (n [2]int, ok bool) {
		for i, p := range strings.SplitN(s, ".", 3) {
			if i == 2 {
				break
			}
			v, err := strconv.Atoi(p)
			if err != nil {
				return n, false
			}
			n[i] = v
		}
		return n, true
	}
	v, ok := parts(version)
	l, _ := parts(least)
	return ok && (v[0] < l[0] || v[0] == l[0] && v[1] < l[1])
}
