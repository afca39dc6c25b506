package redislink

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// NewClient makes a client that gives a command once and no more: what may have reached Redis is for the caller to decide on. o is
// not changed. Nothing is dialed.
func NewClient(o *redis.UniversalOptions) redis.UniversalClient {
	var own redis.UniversalOptions
	if o != nil {
		own = *o
	}
	own.MaxRetries = -1
	own.DialerRetries = 1
	own.ContextTimeoutEnabled = true
	own.ReadOnly, own.RouteByLatency, own.RouteRandomly = false, false, false // a replica may be behind
	if own.DialTimeout == 0 {
		own.DialTimeout = 2 * time.Second
	}
	if own.MaintNotificationsConfig == nil {
		own.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	return redis.NewUniversalClient(&own)
}

// Master gives a client of the one server that has a key. Where Redis is a cluster it may have to ask for the slots.
func Master(ctx context.Context, client redis.UniversalClient, key string) (*redis.Client, error) {
	switch c := client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	default:
		return nil, errors.New("redislink: a client of an unknown kind")
	}
}

// Reload has a client of a cluster ask for the slots anew, in a moment.
func Reload(client redis.UniversalClient) {
	if c, ok := client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}

// IsCluster says whether client is one of a Redis Cluster.
func IsCluster(client redis.UniversalClient) bool {
	_, ok := client.(*redis.ClusterClient)
	return ok
}

// DB is the number of the database that client uses.
func DB(client redis.UniversalClient) int {
	if c, ok := client.(*redis.Client); ok {
		return c.Options().DB
	}
	return 0
}

// refusals are the errors of Redis for commands that it has not begun.
var refusals = []string{
	"LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "MOVED ", "ASK ", "BUSY ", "NOREPLICAS ", "MISCONF ", "OOM ",
	"NOSCRIPT ", "NOAUTH ", "WRONGPASS ", "NOPERM ", "ERR max number of clients",
}

// Refused says that an error is Redis's own, and that the command had no effect.
func Refused(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	for _, prefix := range refusals {
		if strings.HasPrefix(answer.Error(), prefix) {
			return true
		}
	}
	return false
}

// Unsent says that an error came up before anything was sent.
func Unsent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed)
}

// Passing says of a refusal that it may be over in a moment: another try may succeed.
func Passing(err error) bool {
	for _, prefix := range refusals[:8] {
		if redis.HasErrorPrefix(err, strings.TrimSpace(prefix)) {
			return true
		}
	}
	return redis.HasErrorPrefix(err, "NOREPLICAS") || redis.HasErrorPrefix(err, "NOSCRIPT")
}

// Run has the master of the first key run a script, once: what Redis refuses for a moment is tried again until ctx ends, and what may
// have happened is not.
func Run(ctx context.Context, client redis.UniversalClient, script *redis.Script, keys []string, args ...any) (any, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		master, err := Master(ctx, client, keys[0])
		if err != nil {
			return nil, err
		}
		v, err := script.EvalSha(ctx, master, keys, args...).Result()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			v, err = script.Eval(ctx, master, keys, args...).Result()
		}
		answer := redis.Error(nil)
		if answered := errors.As(err, &answer); err != nil && (!answered || Passing(err)) {
			Reload(client) // the master may be another one now
		}
		if err == nil || !Refused(err) || !Passing(err) {
			return v, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Tag is a name as the hash tag of keys, another one for each: all keys with one are on one server of a cluster.
func Tag(name string) string {
	if strings.ContainsAny(name, "%{}") {
		name = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(name)
	}
	return "{" + name + "}"
}

// ValidPrefix says whether s can begin the names of keys: up to 64 bytes without braces, spaces and control characters.
func ValidPrefix(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '{' || r == '}' || r == 0x7f })
}
