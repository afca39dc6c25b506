package redisbroker_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/testkit/brokers"
)

// data is what a message of the benchmarks says.
var data = []byte(strings.Repeat("x", 200))

var keepBench = channel.Keep{Count: 1000, Bytes: 4 << 20, Age: 5 * time.Minute}

// BenchmarkAppend publishes as a hub does, with many publishers who wait for their answers; beside it is what go-redis and Redis take
// for commands without a script, as many at a time.
func BenchmarkAppend(b *testing.B) {
	s := brokers.Redis(b, "--appendonly", "no")
	for _, c := range []struct{ channels, publishers int }{{1, 1}, {1, 64}, {1, 1000}, {1000, 1000}} {
		b.Run(fmt.Sprintf("channels=%d/publishers=%d", c.channels, c.publishers), func(b *testing.B) {
			broker := open(b, single(s), redisbroker.Options{Prefix: fmt.Sprintf("%d:%d:", c.channels, c.publishers)})
			many(b, c.publishers, func(i int) error {
				_, err := tryKeep(broker, fmt.Sprint(i%c.channels), &channel.Message{Data: data}, keepBench)
				return err
			})
		})
	}
	b.Run("followed/channels=1/publishers=1000", func(b *testing.B) {
		o := redisbroker.Options{Prefix: "followed:"}
		broker, other := open(b, single(s), o), open(b, single(s), o)
		var count counter
		if _, err := other.Follow("a", keepBench, &count); err != nil {
			b.Fatal(err)
		}
		many(b, 1000, func(int) error {
			_, err := tryKeep(broker, "a", &channel.Message{Data: data}, keepBench)
			return err
		})
		b.StopTimer()
		eventually(b, "all have come", func() bool { return count.Load() == int64(b.N) })
	})
	client := redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1000})
	defer client.Close()
	for _, publishers := range []int{1, 64} {
		b.Run(fmt.Sprintf("bare PUBLISH/publishers=%d", publishers), func(b *testing.B) {
			many(b, publishers, func(int) error { return client.Publish(b.Context(), "x", data).Err() })
		})
		b.Run(fmt.Sprintf("bare XADD/publishers=%d", publishers), func(b *testing.B) {
			many(b, publishers, func(int) error {
				return client.XAdd(b.Context(), &redis.XAddArgs{Stream: "s", MaxLen: 1000, Approx: true, Values: []any{"d", data}}).Err()
			})
		})
	}
	b.Run("bare XADD and PUBLISH/pipelines of 128", func(b *testing.B) {
		for i := 0; i < b.N; i += 128 {
			pipe := client.Pipeline()
			for range min(128, b.N-i) {
				pipe.XAdd(b.Context(), &redis.XAddArgs{Stream: "s", MaxLen: 1000, Approx: true, Values: []any{"d", data}})
				pipe.Publish(b.Context(), "x", data)
			}
			if _, err := pipe.Exec(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// many has so many goroutines call f, b.N times together.
func many(b *testing.B, publishers int, f func(i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range publishers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func tryKeep(b channel.Broker, name string, m *channel.Message, keep channel.Keep) (channel.Appended, error) {
	r := <-start(b, name, m, keep)
	return r.Appended, r.err
}

// counter is a feed.
type counter struct{ atomic.Int64 }

func (c *counter) Messages(messages []*channel.Message) { c.Add(int64(len(messages))) }
func (c *counter) Lost(channel.Saved)                   {}
