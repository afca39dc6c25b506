package redisbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/redislink"
)

// A shelf is a hash of what is there, and a sorted set of when it goes, in milliseconds by the clock of Redis. Both go with the last.
const shelfLua = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  redis.call('HDEL', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
end
local function lasts(key) -- there may be more that is over
  local due = redis.call('ZSCORE', KEYS[2], key)
  return due and tonumber(due) > now
end
`

var (
	// put: the key, the value, and its time in milliseconds
	put = redis.NewScript(shelfLua + `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
for i = 1, 2 do
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
end
return 1`)
	// list: how many bytes there may be
	list = redis.NewScript(shelfLua + `
local all, size = redis.call('HKEYS', KEYS[1]), 0
local result = {}
for _, key in ipairs(all) do
  if lasts(key) then
    size = size + redis.call('HSTRLEN', KEYS[1], key)
    if size > tonumber(ARGV[1]) then return redis.error_reply('BAROLONG there is more on the shelf than is read at once') end
    result[#result + 1] = key
    result[#result + 1] = redis.call('HGET', KEYS[1], key)
  end
end
return result`)
	// take: the key, and how long the value may be
	take = redis.NewScript(shelfLua + `
local value, there = false, lasts(ARGV[1])
if redis.call('HSTRLEN', KEYS[1], ARGV[1]) <= tonumber(ARGV[2]) then value = redis.call('HGET', KEYS[1], ARGV[1]) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return there and value`)
)

// maxShelfBytes is how much may be on a shelf for List.
const maxShelfBytes = 64 << 20

var errKey = errors.New("redisbus: a name has 1 to 255 bytes")

func (b *Bus) shelf(ctx context.Context, script *redis.Script, shelf string, args ...any) (any, error) {
	if len(shelf) == 0 || len(shelf) > 255 {
		return nil, errKey
	}
	base := b.o.Prefix + "s:" + redislink.Tag(shelf) + ":"
	v, err := redislink.Run(ctx, b.client, script, []string{base + "h", base + "t"}, args...)
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("%w: %w", cluster.ErrAway, err)
	}
	return v, nil
}

// Put implements [cluster.Shelf]. A value has up to [Options.MaxBytes].
func (b *Bus) Put(ctx context.Context, shelf, key string, value []byte, ttl time.Duration) error {
	switch {
	case len(key) == 0 || len(key) > 255:
		return errKey
	case len(value) > b.o.MaxBytes:
		return cluster.ErrTooLarge
	case ttl <= 0:
		return nil
	}
	_, err := b.shelf(ctx, put, shelf, key, value, max(ttl.Milliseconds(), 1))
	return err
}

// List implements [cluster.Shelf].
func (b *Bus) List(ctx context.Context, shelf string) (map[string][]byte, error) {
	v, err := b.shelf(ctx, list, shelf, maxShelfBytes)
	if err != nil {
		return nil, err
	}
	values, _ := v.([]any)
	all := make(map[string][]byte, len(values)/2)
	for i := 0; i+1 < len(values); i += 2 {
		key, ok := values[i].(string)
		value, fine := values[i+1].(string)
		if ok && fine && len(key) <= 255 && len(value) <= b.o.MaxBytes {
			all[key] = []byte(value)
		}
	}
	return all, nil
}

// Take implements [cluster.Shelf].
func (b *Bus) Take(ctx context.Context, shelf, key string) ([]byte, bool, error) {
	v, err := b.shelf(ctx, take, shelf, key, b.o.MaxBytes)
	if err != nil {
		return nil, false, err
	}
	value, ok := v.(string)
	return []byte(value), ok, nil
}
