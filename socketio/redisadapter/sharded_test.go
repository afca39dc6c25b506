package redisadapter_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// everything goes through what servers of a cluster do for each other; shared is what the room of a and b is called.
func everything(t *testing.T, a, b *member) {
	t.Helper()
	a.count(t, 2)
	b.count(t, 2)
	pa, pb := a.client(t, ""), b.client(t, "")
	a.In(pa.id).SocketsJoin("blue", "red")
	a.In(pb.id).SocketsJoin("blue") // which is on the other server
	becomes(t, func() bool {
		all, err := b.In("blue").FetchSockets(context.Background())
		return err == nil && len(all) == 2
	})
	for _, from := range []*member{a, b} {
		_ = from.Emit("all", 1, "é")
		_ = from.Emit("bin", []byte{1, 2})
		_ = from.To("red", "blue").Except("nobody").Emit("once")
		for _, p := range []*connection{pa, pb} {
			p.expect(`42["all",1,"é"]`, `451-["bin",{"_placeholder":true,"num":0}]`, "\x01\x02", `42["once"]`)
			n := 0
			for came := ""; came != `42["volatile"]`; n++ { // unless the client is not ready for it
				if n == 100 {
					t.Fatal("nothing volatile has come")
				}
				_ = from.To(p.id).Volatile().Emit("volatile")
				_ = from.To(p.id).Emit("behind it")
				if came = p.read(); came == `42["volatile"]` {
					p.expect(`42["behind it"]`)
				}
			}
		}
		_ = from.In("blue").Except("red").Emit("except")
		pb.expect(`42["except"]`)
		_ = from.To(pa.id).Emit("to", "a")
		pa.expect(`42["to","a"]`)
	}
	for i, from := range []*member{a, b} {
		got := make(chan []socketio.Args, 1)
		go func() {
			answers, err := from.In("blue").Timeout(clusterPatience).EmitWithAck(context.Background(), "q")
			if err != nil {
				t.Errorf("EmitWithAck from %d: %v", i, err)
			}
			got <- answers
		}()
		for _, p := range []*connection{pa, pb} {
			q := p.read()
			p.send("43" + strings.TrimSuffix(q[2:], `["q"]`) + `["yes"]`)
		}
		if answers := <-got; len(answers) != 2 {
			t.Errorf("%d answers to %d", len(answers), i)
		}
	}
	for _, s := range []*member{a, b} {
		s.OnServerSide("sum", func(args socketio.Args, answer func(any)) {
			var x, y int
			_ = args.Bind(&x, &y)
			answer(map[string]any{"sum": x + y})
		})
	}
	values, err := a.ServerSideEmitWithAck(context.Background(), "sum", 1, 2)
	if err != nil || len(values) != 1 || values[0].String() != `{"sum":3}` {
		t.Errorf("%v, %v", values, err)
	}
	a.In("blue").SocketsLeave("red")
	a.In(pb.id).DisconnectSockets(false)
	pb.expect("41")
	becomes(t, func() bool {
		all, err := b.FetchSockets(context.Background())
		return err == nil && len(all) == 1 && slices.Equal(all[0].Rooms, []string{pa.id, "blue"})
	})
}

func TestSharded(t *testing.T) {
	server := brokers.Redis(t)
	for _, mode := range []redisadapter.SubscriptionMode{redisadapter.Static, redisadapter.Dynamic, redisadapter.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			o := &redisadapter.ShardedOptions{SubscriptionMode: mode, ChannelPrefix: string(mode)}
			everything(t, newMember(t, redisadapter.NewSharded(redisClient(t, server.Addr), o), nil),
				newMember(t, redisadapter.NewSharded(redisClient(t, server.Addr), o), nil))
		})
	}
}

func clusterClient(t testing.TB, all []*brokers.Server) *redis.ClusterClient {
	var addrs []string
	for _, s := range all {
		addrs = append(addrs, s.Addr)
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisCluster(t *testing.T) {
	all := brokers.RedisCluster(t, 3)
	t.Run("sharded", func(t *testing.T) {
		everything(t, newMember(t, redisadapter.NewSharded(clusterClient(t, all), nil), nil),
			newMember(t, redisadapter.NewSharded(clusterClient(t, all), nil), nil))
	})
	for _, sharded := range []bool{false, true} {
		t.Run("streams", func(t *testing.T) {
			o := &redisadapter.StreamsOptions{UseShardedPubSub: sharded, StreamCount: 3}
			everything(t, newMember(t, redisadapter.NewStreams(clusterClient(t, all), o), nil),
				newMember(t, redisadapter.NewStreams(clusterClient(t, all), o), nil))
		})
	}
}

// Who is in no room hears nothing of it; after Redis was away all is as before, and sockets of the same server never notice.
func TestShardedAway(t *testing.T) {
	server := brokers.Redis(t)
	a := newMember(t, redisadapter.NewSharded(redisClient(t, server.Addr), nil), nil)
	b := newMember(t, redisadapter.NewSharded(redisClient(t, server.Addr), nil), nil)
	a.count(t, 2)
	pa, pb := a.client(t, ""), b.client(t, "")
	b.In(pb.id).SocketsJoin("blue")
	stats := func(m *member) redisadapter.ClusterStats { return m.Adapter().(*redisadapter.ShardedAdapter).Stats() }
	before := stats(b)
	for range 10 {
		_ = a.To("elsewhere").Emit("x")
	}
	becomes(t, func() bool { _ = a.To("blue").Emit("here"); return stats(b).Received > before.Received })
	if s := stats(b); s.Elsewhere != before.Elsewhere {
		t.Errorf("%+v", s)
	}
	pb.expect(`42["here"]`)
	server.Kill()
	becomes(t, func() bool { _ = a.Emit("probe"); return a.Adapter().(*redisadapter.ShardedAdapter).Err() != nil })
	_ = a.Emit("end")
	for pa.read() != `42["end"]` {
	}
	server.Restart()
	a.count(t, 2)
	now := stats(b).Received
	becomes(t, func() bool { _ = a.To("blue").Emit("again"); return stats(b).Received > now })
	for pb.read() != `42["again"]` {
	}
}
