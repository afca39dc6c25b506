package redisadapter_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// numbers reads events until the one that is called end, and returns how often each number came, and whether they were in order.
func (p *connection) numbers() (times map[int]int, ordered bool) {
	times, ordered = map[int]int{}, true
	for last := -1; ; {
		args, _ := split(p.t, strings.Replace(p.read(), `]`, `,""]`, 1)) // so that there is always one more
		switch args[0] {
		case "end":
			return times, ordered
		case "n":
			n := int(args[1].(float64))
			times[n]++
			ordered = ordered && n > last
			last = n
		}
	}
}

// Whatever becomes of Redis, the clients of the server that emits get every event once and in order.
func TestStreamsLocalSurvives(t *testing.T) {
	for name, fault := range map[string]func(*brokers.Server, func()){
		"restarts":     func(s *brokers.Server, emit func()) { s.Kill(); emit(); s.Restart() },
		"stands still": func(s *brokers.Server, emit func()) { s.Pause(); emit(); s.Continue() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := brokers.Redis(t)
			client := redis.NewClient(&redis.Options{Addr: server.Addr, DialTimeout: time.Second, ReadTimeout: 500 * time.Millisecond})
			defer client.Close()
			m := newMember(t, redisadapter.NewStreams(client, nil), &socketio.ConnectionStateRecovery{})
			m.count(t, 1)
			p := m.client(t, "")
			n := 0
			emit := func() {
				for range 100 {
					_ = m.Emit("n", n)
					n++
					time.Sleep(5 * time.Millisecond)
				}
			}
			emit()
			fault(server, func() { emit(); emit() })
			emit()
			_ = m.Emit("end", 1)
			times, ordered := p.numbers()
			for i := range 400 {
				if times[i] != 1 {
					t.Errorf("%d came %d times", i, times[i])
				}
			}
			if !ordered {
				t.Error("not in order")
			}
		})
	}
}

// A master is replaced by another; what is emitted after that arrives everywhere.
func TestClusterSentinel(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("takes long: make prove")
	}
	s := brokers.Sentinel(t)
	client := func() redis.UniversalClient {
		c := redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: s.Name, SentinelAddrs: s.Addrs(), DialTimeout: time.Second, ReadTimeout: time.Second,
		})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	for name, adapter := range map[string]func(redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter{
		"sharded": func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
			return redisadapter.NewSharded(c, nil)
		},
		"streams": func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
			return redisadapter.NewStreams(c, nil)
		},
	} {
		a, b := newMember(t, adapter(client()), nil), newMember(t, adapter(client()), nil)
		a.count(t, 2)
		b.count(t, 2)
		p := b.client(t, "")
		defer func() {
			reached := make(chan struct{})
			go func() {
				for p.read() != `42["after"]` {
				}
				close(reached)
			}()
			for end := time.After(60 * time.Second); ; {
				_ = a.Emit("after")
				select {
				case <-reached:
					return
				case <-end:
					t.Errorf("%s: nothing after a minute", name)
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
	}
	s.Master.Kill()
}

// While Redis is away memory is bounded: what does not fit is not sent, and counted.
func TestShardedBounded(t *testing.T) {
	server := brokers.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: 10 * time.Second})
	defer client.Close()
	m := newMember(t, redisadapter.NewSharded(client, &redisadapter.ShardedOptions{MaxQueueBytes: 1 << 20}), nil)
	m.count(t, 1)
	server.Pause()
	defer server.Continue()
	text := strings.Repeat("x", 10_000)
	started := time.Now()
	for range 1000 {
		_ = m.Emit("n", text)
	}
	if took := time.Since(started); took > 9*time.Second {
		t.Errorf("it took %v: somebody has waited for Redis", took)
	}
	if s := m.Adapter().(*redisadapter.ShardedAdapter).Stats(); s.Unsent < 700 || s.Published > 300 {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := m.FetchSockets(ctx); err == nil {
		t.Error("no error though nobody has answered")
	}
	if took := time.Since(started); took > 9*time.Second {
		t.Errorf("it took %v, and not as long as the context", took)
	}
	server.Continue()
}
