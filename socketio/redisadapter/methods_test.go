package redisadapter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// Every method reaches all servers, over one Redis and over a cluster of it.
func TestMethods(t *testing.T) {
	t.Run("single", func(t *testing.T) {
		testkit.NoLeaks(t)
		s := brokers.Redis(t)
		// one of the servers answers to who has asked only
		all := cluster(t, func() redis.UniversalClient { return connect(t, s) }, func(i int) *redisadapter.Options {
			return &redisadapter.Options{PublishOnSpecificResponseChannel: i == 1}
		})
		methods(t, all)
	})
	t.Run("cluster", func(t *testing.T) {
		testkit.NoLeaks(t)
		methods(t, cluster(t, connectCluster(t, brokers.RedisCluster(t, 3)), func(int) *redisadapter.Options { return nil }))
	})
}

func connectCluster(t *testing.T, servers []*brokers.Server) func() redis.UniversalClient {
	return func() redis.UniversalClient {
		var addrs []string
		for _, s := range servers {
			addrs = append(addrs, s.Addr)
		}
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
}

func methods(t *testing.T, all []*node) {
	a, b, c := all[0], all[1], all[2]
	ctx := t.Context()

	// What one server publishes comes in order.
	_ = a.Emit("everybody", 1, "two", map[string]any{"three": true}, nil, 1.5)
	_ = a.To("b").Emit("one room")
	_ = a.To("b", "c").Except("c").Emit("two rooms but one")
	_ = a.To("b").Emit("binary", []byte{1, 2, 3})
	_ = a.To(b.id).Compress(false).Emit("one socket")
	_ = a.Local().Emit("local")
	_ = a.To("nobody").Emit("nobody")
	_ = a.Emit("end")
	everybody := `2["everybody",1,"two",{"three":true},null,1.5]`
	a.expect(everybody, `2["local"]`, `2["end"]`)
	b.expect(everybody, `2["one room"]`, `2["two rooms but one"]`,
		`51-["binary",{"_placeholder":true,"num":0}]`, "b:\x01\x02\x03", `2["one socket"]`, `2["end"]`)
	c.expect(everybody, `2["end"]`)

	// What is volatile comes, unless the client is not ready for it: then that is tried again.
	for n := 0; ; n++ {
		if n == 100 {
			t.Fatal("nothing volatile has come")
		}
		_ = a.To(b.id).Volatile().Emit("volatile")
		_ = a.To(b.id).Emit("behind it")
		if b.recv() == `2["volatile"]` {
			b.expect(`2["behind it"]`)
			break
		}
	}

	// Acknowledgements.
	type acks struct {
		answers []socketio.Args
		err     error
	}
	ask := func(o socketio.BroadcastOperator) chan acks {
		done := make(chan acks, 1)
		go func() {
			answers, err := o.EmitWithAck(ctx, "?")
			done <- acks{answers, err}
		}()
		return done
	}
	done := ask(a.Timeout(testkit.Patience))
	a.answer(`["?"]`, `["a"]`)
	b.answer(`["?"]`, `["b",2]`)
	c.answer(`["?"]`, `[]`)
	answered := <-done
	var got []string
	for _, args := range answered.answers {
		got = append(got, fmt.Sprint(args.Args()...))
	}
	// Of another server comes the first value only, as from those of Node.
	if want := []string{"", `"a"`, `"b"`}; answered.err != nil || !equalSets(got, want) {
		t.Errorf("acknowledged: %q, %v, want %q", got, answered.err, want)
	}
	done = ask(a.To("b").Timeout(testkit.Patience))
	b.answer(`["?"]`, `[{"b":1}]`)
	if answered = <-done; answered.err != nil || len(answered.answers) != 1 {
		t.Errorf("acknowledged: %v", answered)
	}
	done = ask(a.Except("a").Timeout(500 * time.Millisecond))
	b.answer(`["?"]`, `[1]`)
	c.recv()
	answered = <-done
	if partial, ok := errors.AsType[*socketio.PartialError](answered.err); !ok || partial.Answered != 1 || partial.Missing != 1 || !errors.Is(partial, socketio.ErrTimeout) {
		t.Errorf("acknowledged in part: %v", answered)
	}

	// Sockets.
	sockets, err := a.FetchSockets(ctx)
	if err != nil || len(sockets) != 3 {
		t.Errorf("FetchSockets: %v, %v", sockets, err)
	}
	sockets, err = a.In("c").FetchSockets(ctx)
	if err != nil || len(sockets) != 1 || sockets[0].ID != c.id || !slices.Contains(sockets[0].Rooms, "all") ||
		sockets[0].Handshake.Query["EIO"] != "4" || sockets[0].Data.(map[string]any)["of"] != "c" {
		t.Errorf("FetchSockets: %+v, %v", sockets, err)
	}
	_ = sockets[0].Emit("to a remote socket")
	c.expect(`2["to a remote socket"]`)
	a.In("c").SocketsJoin("joined")
	_ = a.To("joined").Emit("joined")
	a.In("all").SocketsLeave("joined")
	_ = a.To("joined").Emit("joined")
	_ = a.To("c").Emit("left")
	c.expect(`2["joined"]`, `2["left"]`)

	// Servers.
	if n, err := b.Adapter().ServerCount(ctx); n != 3 || err != nil {
		t.Errorf("ServerCount: %d, %v", n, err)
	}
	rooms, err := a.adapter().AllRooms(ctx)
	if want := []string{"all", "a", "b", "c", a.id, b.id, c.id}; err != nil || !equalSets(rooms, want) {
		t.Errorf("AllRooms: %v, %v, want %v", rooms, err, want)
	}
	values, err := a.ServerSideEmitWithAck(ctx, "name?")
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.String()
	}
	if !equalSets(names, []string{`"b"`, `"c"`}) || err != nil {
		t.Errorf("ServerSideEmitWithAck: %v, %v", names, err)
	}
	told := make(chan string, 1)
	b.OnServerSide("tell", func(args socketio.Args, _ func(any)) {
		var text string
		var data []byte
		_ = args.Bind(&text, &data)
		told <- text + string(data)
	})
	_ = a.ServerSideEmit("tell", "hello", []byte("\xff"))
	if got := testkit.Within(t, "an event of servers", told); got != "hello\xff" {
		t.Errorf("ServerSideEmit: %q", got)
	}
	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	values, err = c.ServerSideEmitWithAck(soon, "nobody listens")
	if e, ok := errors.AsType[*socketio.ServersError](err); len(values) != 0 || !ok || e.Missing != 2 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", values, err)
	}

	// Other namespaces are apart.
	_ = a.Of("/other").Emit("other")
	_ = a.To("b").Emit("main")
	b.expect(`2["main"]`)

	a.In("b").DisconnectSockets(false)
	b.expect("1")
	a.In("c").DisconnectSockets(true)
	if m, err := c.read(); err == nil && m != "1" {
		t.Errorf("got %q, want to be disconnected", m)
	}
	eventually(t, "two sockets have gone", func() bool {
		sockets, err := a.FetchSockets(context.Background())
		return err == nil && len(sockets) == 1
	})
	for _, n := range all {
		if s := n.adapter().Stats(); s.Ignored > 0 || s.Lost > 0 || n.adapter().Err() != nil {
			t.Errorf("%+v, %v", s, n.adapter().Err())
		}
	}
}

func equalSets(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// An emitter is a program that is no server.
func TestEmitter(t *testing.T) {
	s := brokers.Redis(t)
	client := connect(t, s)
	all := cluster(t, func() redis.UniversalClient { return client }, func(int) *redisadapter.Options { return &redisadapter.Options{Key: "key"} })
	a, b, c := all[0], all[1], all[2]
	told := make(chan string, 3)
	for _, n := range all {
		n.OnServerSide("tell", func(args socketio.Args, _ func(any)) { v := args.Value(0); told <- v.String() })
		n.Of("/other").OnServerSide("tell", func(args socketio.Args, _ func(any)) { v := args.Value(0); told <- "other" + v.String() })
	}
	ctx := t.Context()
	e := redisadapter.NewEmitter(client, &redisadapter.EmitterOptions{Key: "key"})
	for _, err := range []error{
		e.To("a", "b").Except("a").Volatile().Compress(false).Emit(ctx, "b", []byte{7}),
		e.In("b", "c").SocketsJoin(ctx, "room"),
		e.To("c").SocketsLeave(ctx, "room"),
		e.To("room").Emit(ctx, "room"),
		e.Emit(ctx, "all"),
		e.To("a").DisconnectSockets(ctx, false),
		e.ServerSideEmit(ctx, "tell", 1),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	a.expect(`2["all"]`, "1")
	b.expect(`51-["b",{"_placeholder":true,"num":0}]`, "b:\x07", `2["room"]`, `2["all"]`)
	c.expect(`2["all"]`)
	for range all {
		if got := testkit.Within(t, "an event of servers", told); got != "1" {
			t.Errorf("told %s", got)
		}
	}
	eventually(t, "the other namespace is told of", func() bool {
		if err := e.Of("other").ServerSideEmit(ctx, "tell", 2); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-told:
			return got == "other2"
		case <-time.After(10 * time.Millisecond):
			return false
		}
	})
	if err := e.Emit(ctx, "e", make(chan int)); err == nil || !strings.Contains(err.Error(), "argument") {
		t.Errorf("%v", err)
	}
	if n := a.adapter().Stats().Ignored; n != 0 {
		t.Errorf("%d messages ignored", n)
	}
}
