package redisadapter_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// A Redis that stands still has nobody wait for longer than they want, whatever the timeouts of the client are.
func TestStandsStill(t *testing.T) {
	s := brokers.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr, ReadTimeout: time.Hour, WriteTimeout: time.Hour})
	defer client.Close()
	n := start(t, "a", client, nil)
	together(t, []*node{n})
	s.Pause()
	defer s.Continue()
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := n.Adapter().ServerCount(ctx)
		ended <- err
	}()
	if err := testkit.Within(t, "an answer", ended); err == nil {
		t.Error("it was counted")
	}
	if err := n.Emit("e"); err != nil {
		t.Error(err)
	}
	n.expect(`2["e"]`)
	go func() { ended <- n.Server.Close(context.Background()) }()
	if err := testkit.Within(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

// What was given up before it was sent is not sent later, and does not wait for that.
func TestEmitGivenUp(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, ReadTimeout: time.Hour})
	defer client.Close()
	heard := client.Subscribe(t.Context(), "socket.io#/#")
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	messages := heard.Channel()
	emitter := redisadapter.NewEmitter(client, nil)
	if err := emitter.Emit(t.Context(), "before"); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	first := make(chan error, 1)
	go func() { first <- emitter.Emit(t.Context(), "first") }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	<-ctx.Done() // the first one is under way
	for i := range 10 {
		if err := emitter.Emit(ctx, fmt.Sprint("late ", i)); err == nil {
			t.Error("emitted without Redis")
		}
	}
	s.Continue()
	if err := testkit.Within(t, "the first one", first); err != nil {
		t.Error(err)
	}
	if err := emitter.Emit(t.Context(), "last"); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"before", "first", "last"} {
		if m := testkit.Within(t, want, messages); !strings.Contains(m.Payload, want) {
			t.Errorf("%q instead of %s", m.Payload, want)
		}
	}
}

// Servers of Node may listen at the replicas of a Redis Cluster.
func TestSubscribersAtReplicas(t *testing.T) {
	prove(t)
	t.Parallel()
	masters := brokers.RedisCluster(t, 3)
	replica := brokers.Replica(t, masters[0])
	other := redis.NewClient(&redis.Options{Addr: replica.Addr})
	defer other.Close()
	heard := other.Subscribe(t.Context(), "socket.io-request#/#")
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := start(t, "a", connectCluster(t, masters)(), nil)
	eventually(t, "both are counted", func() bool {
		count, err := n.Adapter().ServerCount(t.Context())
		return err == nil && count == 2
	})
}

// Who asks what is wrong is told that Redis is back, though nothing is sent.
func TestBackUnasked(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	for name, adapter := range map[string]func(redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter{
		"sharded": func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
			return redisadapter.NewSharded(c, &redisadapter.ShardedOptions{Logger: log})
		},
		"streams": func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
			return redisadapter.NewStreams(c, &redisadapter.StreamsOptions{Logger: log})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := brokers.Redis(t)
			m := newMember(t, adapter(redisClient(t, s.Addr)), nil)
			m.count(t, 1)
			s.Kill()
			becomes(t, func() bool {
				_ = m.Emit("n", 1)
				stats := m.Adapter().(interface {
					Stats() redisadapter.ClusterStats
				}).Stats()
				return stats.Unsent > 0 && m.Adapter().(interface{ Err() error }).Err() != nil
			})
			s.Restart()
			becomes(t, func() bool { return m.Adapter().(interface{ Err() error }).Err() == nil })
		})
	}
}

// A server that does not keep up with the stream says that it has lost something, though its connection lasts.
func TestStreamsOvertaken(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	m := recoverable(t, s, 1, &redisadapter.StreamsOptions{MaxLen: 100, Logger: slog.New(slog.DiscardHandler)})[0]
	p := m.client(t, "")
	_ = m.Emit("n", 1)
	p.event()
	_, err := redisClient(t, s.Addr).TxPipelined(t.Context(), func(p redisPipeliner) error { // all at once
		for range 1000 {
			p.Do(t.Context(), "XADD", "socket.io", "MAXLEN", "~", 100, "*", "uid", "other", "nsp", "/", "type", "3", "data", "{}")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	adapter := m.Adapter().(*redisadapter.StreamsAdapter)
	becomes(t, func() bool { return adapter.Stats().Ignored >= 100 })
	becomes(t, func() bool { return adapter.Lost() == 1 })
	_ = m.Emit("n", 2)
	p.event()
	if n := adapter.Lost(); n != 1 {
		t.Errorf("it has lost something %d times", n)
	}
}

// Redis comes back without the stream while an entry is being delivered, and nothing is being read.
func TestStreamsEmptyUnread(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	m := recoverable(t, s, 1, &redisadapter.StreamsOptions{Logger: slog.New(slog.DiscardHandler)})[0]
	under, release := make(chan struct{}, 1), make(chan struct{})
	m.OnConnection(func(s *socketio.Socket) {
		s.OnAnyOutgoing(func(*socketio.Event) {
			under <- struct{}{}
			<-release
		})
	})
	m.client(t, "")
	data := `{"packet":{"type":2,"data":["from afar"]},"opts":{"rooms":[],"except":[],"flags":{}}}`
	if _, err := s.Do("XADD", "socket.io", "*", "uid", "other", "nsp", "/", "type", "3", "data", data); err != nil {
		t.Fatal(err)
	}
	testkit.Within(t, "the entry", under)
	s.RestartEmpty()
	close(release)
	adapter := m.Adapter().(*redisadapter.StreamsAdapter)
	becomes(t, func() bool { return adapter.Lost() == 1 })
}

// A stream that goes to another master is read there, though nobody else has asked who has what.
func TestStreamsMoved(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 2)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{servers[0].Addr, servers[1].Addr}, ClusterStateReloadInterval: time.Hour})
	defer client.Close()
	m := newMember(t, redisadapter.NewStreams(client, &redisadapter.StreamsOptions{Logger: slog.New(slog.DiscardHandler), BlockTime: time.Second}), nil)
	m.count(t, 1)
	p := m.client(t, "")
	to := move(t, servers, "socket.io")
	data := `{"packet":{"type":2,"data":["from afar"]},"opts":{"rooms":[],"except":[],"flags":{}}}`
	if _, err := to.Do("XADD", "socket.io", "*", "uid", "other", "nsp", "/", "type", "3", "data", data); err != nil {
		t.Fatal(err)
	}
	p.expect(`42["from afar"]`)
}

// move gives the slot of a key, which has none yet, to the other one of two masters, and returns that.
func move(t testing.TB, servers []*brokers.Server, key string) (to *brokers.Server) {
	t.Helper()
	slot, err := servers[0].Do("CLUSTER", "KEYSLOT", key)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(slot)
	from, to := servers[0], servers[1]
	if n >= 16384/2 {
		from, to = to, from
	}
	brokers.MoveSlot(t, slot, from, to)
	return to
}
