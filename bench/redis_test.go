//go:build linux

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// BenchmarkRedisPublish has a server, or an emitter, emit events to a room whose members are all elsewhere, through Redis, and the official
// ones do the same, by turns. events/cpu-s are events for each second of processor time of the publishing process, in the best
// round; node-events/cpu-s is that of the official one; ×node the median of the ratios of each round.
//
// An adapter of either sort queues what is emitted, and so does the emitter of Node; Emit of ours waits for Redis, and so
// goroutines do that at the same time: a hundred, or one.
func BenchmarkRedisPublish(b *testing.B) {
	const events, warmup = 100_000, 20_000
	for _, kind := range []string{"classic", "sharded", "streams", "emitter", "emitter-alone"} {
		for _, size := range []int{16, 1024} {
			b.Run(fmt.Sprintf("%s/%dB", kind, size), func(b *testing.B) {
				s := brokers.Redis(b)
				events, warmup := events, warmup
				if kind == "emitter-alone" {
					events, warmup = events/10, warmup/10
				}
				var ours, theirs, ratios []float64
				for b.Loop() {
					ours = append(ours, float64(events)/publishHere(b, s, kind, warmup, events, size))
					if _, err := os.Stat("node/node_modules/@socket.io/redis-emitter"); err == nil {
						theirs = append(theirs, float64(events)/publishThere(b, s, kind, events, size))
						ratios = append(ratios, ours[len(ours)-1]/theirs[len(theirs)-1])
					}
				}
				b.ReportMetric(slices.Max(ours), "events/cpu-s")
				if len(theirs) > 0 {
					b.ReportMetric(slices.Max(theirs), "node-events/cpu-s")
					slices.Sort(ratios)
					b.ReportMetric((ratios[len(ratios)/2]+ratios[(len(ratios)-1)/2])/2, "×node")
				}
			})
		}
	}
}

// publishThere returns the seconds of processor time of a process of Node.
func publishThere(b *testing.B, s *brokers.Server, kind string, events, size int) float64 {
	kind, _, _ = strings.Cut(kind, "-")
	out, err := exec.Command("node", "node/publish.mjs", "redis://"+s.Addr, kind, fmt.Sprint(events), fmt.Sprint(size)).Output()
	var took struct{ CPU, Elapsed float64 }
	if err == nil {
		err = json.Unmarshal(out, &took)
	}
	if err != nil {
		b.Fatal(err)
	}
	return took.CPU
}

// publishHere returns the seconds of processor time of this process.
func publishHere(b *testing.B, s *brokers.Server, kind string, warmup, events, size int) float64 {
	client := redis.NewClient(&redis.Options{Addr: s.Addr})
	defer client.Close()
	text := strings.Repeat("x", size)
	var emit func(n int)
	switch kind {
	case "emitter":
		room := redisadapter.NewEmitter(client, nil).To("room")
		emit = func(n int) { emitTogether(b, room, 100, n, text) }
	case "emitter-alone":
		room := redisadapter.NewEmitter(client, nil).To("room")
		emit = func(n int) { emitTogether(b, room, 1, n, text) }
	default:
		io := server(kind, client)
		defer func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = io.Close(ctx)
		}()
		room, sent := io.To("room"), taken(b, client)
		emit = func(n int) {
			for i := range n {
				if err := room.Emit("message", text); err != nil {
					b.Fatal(err)
				}
				sent++
				if last := i == n-1; last || i%5000 == 4999 { // no more than 10,000 wait
					since := time.Now()
					for have := taken(b, client); have+5000 < sent || last && have < sent; have = taken(b, client) {
						if time.Since(since) > time.Minute {
							b.Fatalf("Redis has %d of %d", have, sent)
						}
						time.Sleep(time.Millisecond)
					}
				}
			}
		}
	}
	emit(warmup)
	before := cpuTime()
	emit(events)
	return (cpuTime() - before).Seconds()
}

// emitTogether has goroutines emit n events between them.
func emitTogether(b *testing.B, room redisadapter.Emitter, goroutines, n int, text string) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := room.Emit(b.Context(), "message", text); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// server is one that a Redis joins with others.
func server(kind string, client redis.UniversalClient) *socketio.Server {
	quiet := slog.New(slog.DiscardHandler)
	var adapter func(*socketio.Namespace) socketio.Adapter
	switch kind {
	case "classic":
		adapter = redisadapter.New(client, &redisadapter.Options{Logger: quiet})
	case "sharded":
		adapter = redisadapter.NewSharded(client, &redisadapter.ShardedOptions{Logger: quiet})
	case "streams":
		adapter = redisadapter.NewStreams(client, &redisadapter.StreamsOptions{Logger: quiet})
	}
	return socketio.NewServer(&socketio.Options{Adapter: adapter})
}

// taken is how many events Redis has got, and a few other messages of servers.
func taken(b *testing.B, client redis.UniversalClient) (n int) {
	info, err := client.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, rest, _ := strings.Cut(line, ":calls=")
		switch name {
		case "cmdstat_publish", "cmdstat_spublish", "cmdstat_xadd":
			calls, _, _ := strings.Cut(rest, ",")
			each, err := strconv.Atoi(calls)
			if err != nil {
				b.Fatal(err)
			}
			n += each
		}
	}
	return n
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
