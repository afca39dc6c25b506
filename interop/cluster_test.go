package interop

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/engineio"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/redisadapter"
)

// clustered says which adapter the servers of a cluster have, to ours and to those of peers/cluster/servers.mjs.
type clustered struct {
	Kind     string         `json:"kind"` // classic, sharded or streams
	Redis    []string       `json:"redis"`
	Sentinel string         `json:"sentinel,omitempty"` // the name of the master; Redis are its sentinels
	Settings map[string]any `json:"settings"`
	Recovery any            `json:"recovery,omitempty"`

	adapter func(redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter
}

func sharded(mode redisadapter.SubscriptionMode) clustered {
	return clustered{Kind: "sharded", Settings: map[string]any{"subscriptionMode": mode}, adapter: func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
		return redisadapter.NewSharded(c, &redisadapter.ShardedOptions{SubscriptionMode: mode})
	}}
}

func classic(specific bool) clustered {
	return clustered{Kind: "classic", Settings: map[string]any{"publishOnSpecificResponseChannel": specific}, adapter: func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
		return redisadapter.New(c, &redisadapter.Options{PublishOnSpecificResponseChannel: specific, Logger: slog.New(slog.DiscardHandler)})
	}}
}

func streams(shardedPubSub bool) clustered {
	return clustered{Kind: "streams", Settings: map[string]any{"useShardedPubSub": shardedPubSub}, adapter: func(c redis.UniversalClient) func(*socketio.Namespace) socketio.Adapter {
		return redisadapter.NewStreams(c, &redisadapter.StreamsOptions{UseShardedPubSub: shardedPubSub})
	}}
}

// TestCluster has two servers of ours and two official ones share a room over Redis, and each of them do all that servers do for
// each other.
func TestCluster(t *testing.T) {
	recoverable := streams(false)
	recoverable.Recovery = map[string]any{}
	for name, c := range map[string]clustered{
		"classic": classic(false), "classic/specific": classic(true),
		"sharded/dynamic": sharded(redisadapter.Dynamic), "sharded/dynamic-private": sharded(redisadapter.DynamicPrivate),
		"sharded/static": sharded(redisadapter.Static), "streams": streams(false), "streams/recovery": recoverable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Redis = []string{brokers.Redis(t).Addr}
			methods(t, c, os.Getenv("BARO_PROOF") == "")
		})
	}
}

// TestRedisCluster is TestCluster on a Redis Cluster, in a short form.
func TestRedisCluster(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		// What official servers publish by different masters comes in any order, and sometimes too late for them: see docs/socketio.md.
		t.Skip("BARO_PROOF=1 runs it")
	}
	var addrs []string
	for _, s := range brokers.RedisCluster(t, 3) {
		addrs = append(addrs, s.Addr)
	}
	for name, c := range map[string]clustered{"classic": classic(false), "sharded": sharded(redisadapter.Dynamic), "streams": streams(true)} {
		t.Run(name, func(t *testing.T) {
			c.Redis = addrs
			methods(t, c, true)
		})
	}
}

// TestSentinelCluster is TestCluster with a Redis that sentinels watch over, in a short form: before a failover, and after.
func TestSentinelCluster(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("BARO_PROOF=1 runs it")
	}
	s := brokers.Sentinel(t)
	c := classic(false)
	c.Redis, c.Sentinel = s.Addrs(), s.Name
	t.Run("before", func(t *testing.T) { methods(t, c, true) })
	s.Master.Kill()
	for _, one := range s.Sentinels {
		for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			master, err := one.Do("SENTINEL", "get-master-addr-by-name", s.Name)
			if err == nil && strings.HasSuffix(master, strconv.Itoa(s.Replica.Port())) {
				break
			} else if time.Since(start) > patience {
				t.Fatalf("the master is %q, %v", master, err)
			}
		}
	}
	t.Run("after", func(t *testing.T) { methods(t, c, true) })
}

// TestClusterRecovery has official clients that are cut come back to other servers than they were at.
func TestClusterRecovery(t *testing.T) {
	t.Parallel()
	c := streams(false)
	c.Recovery = map[string]any{}
	c.Redis = []string{brokers.Redis(t).Addr}
	c.check(t, "cluster/recovery.mjs", os.Getenv("BARO_PROOF") == "")
}

func methods(t *testing.T, c clustered, short bool) {
	t.Helper()
	c.check(t, "cluster/methods.mjs", short)
}

// check has a program use two servers of ours, and official ones that it starts.
func (c *clustered) check(t *testing.T, program string, short bool) {
	t.Helper()
	checks(t, node(t, program, map[string]any{
		"servers": map[string]string{"go1": c.start(t, "go1"), "go2": c.start(t, "go2")}, "cluster": c, "short": short,
	}))
}

// start starts a server of ours with the adapter, and returns its URL. It does what those of peers/cluster/servers.mjs do.
func (c *clustered) start(t *testing.T, name string) string {
	t.Helper()
	client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: c.Redis, MasterName: c.Sentinel})
	options := &socketio.Options{Adapter: c.adapter(client), Engine: engineio.Options{Logger: slog.New(slog.DiscardHandler)}}
	if c.Recovery != nil {
		options.ConnectionStateRecovery = &socketio.ConnectionStateRecovery{}
	}
	io := socketio.NewServer(options)
	clusterRole(io, redisadapter.NewEmitter(client, nil), name)
	h := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = io.Close(ctx)
		h.Close()
		_ = client.Close()
	})
	return h.URL
}

// chosen is whom something is for.
type chosen struct {
	To, Except []string
	Volatile   bool
	Timeout    int64
}

func (c chosen) of(io *socketio.Server) socketio.BroadcastOperator {
	o := io.To(c.To...).Except(c.Except...)
	if c.Volatile {
		o = o.Volatile()
	}
	if c.Timeout > 0 {
		o = o.Timeout(time.Duration(c.Timeout) * time.Millisecond)
	}
	return o
}

func clusterRole(io *socketio.Server, emitter redisadapter.Emitter, name string) {
	heard := make(chan []any, 1000)
	io.OnServerSide("hello", func(args socketio.Args, answer func(any)) {
		heard <- args.Args()
		answer(map[string]any{"name": name, "args": args.Args()})
	})
	io.OnConnection(func(s *socketio.Socket) {
		if !s.Recovered() {
			s.SetData(map[string]any{"server": name, "key": []byte{1, 2, 3}})
			s.Join("all", name)
		}
	})
	io.On("do", func(e *socketio.Event) {
		var what string
		var args []parser.Value
		err := e.Bind(&what, &args)
		var result any
		if err == nil {
			if what == "emitter" {
				err = emitterDo(emitter, args)
			} else {
				result, err = clusterDo(io, what, args, heard)
			}
		}
		answer := map[string]any{"result": result}
		if err != nil {
			answer["error"] = err.Error()
		}
		_ = e.Ack(answer)
	})
}

func clusterDo(io *socketio.Server, what string, args []parser.Value, heard chan []any) (any, error) {
	ctx := context.Background()
	var to chosen
	var rest []any
	switch what {
	case "emit", "ask", "fetch", "join", "leave", "disconnect":
		if err := args[0].Decode(&to); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	var names []string
	for _, v := range args {
		rest = append(rest, v)
		var s string
		_ = v.Decode(&s)
		names = append(names, s)
	}
	switch what {
	case "emit":
		return nil, to.of(io).Emit("t", rest...)
	case "ask":
		answers, err := to.of(io).EmitWithAck(ctx, "q", rest...)
		all := []any{}
		for _, a := range answers {
			all = append(all, a.Value(0))
		}
		return all, err
	case "fetch":
		sockets, err := to.of(io).FetchSockets(ctx)
		all := []any{}
		for _, s := range sockets {
			all = append(all, map[string]any{
				"id": s.ID, "rooms": s.Rooms, "data": s.Data, "query": s.Handshake.Query, "address": s.Handshake.Address,
			})
		}
		return all, err
	case "tell":
		sockets, err := io.In(names[0]).FetchSockets(ctx)
		if err != nil || len(sockets) != 1 {
			return nil, errors.Join(err, errors.New("there is no such socket"))
		}
		return nil, sockets[0].Emit("t", rest[1:]...)
	case "join":
		to.of(io).SocketsJoin(names...)
	case "leave":
		to.of(io).SocketsLeave(names...)
	case "disconnect":
		var closeClients bool
		_ = args[0].Decode(&closeClients)
		to.of(io).DisconnectSockets(closeClients)
	case "hello":
		return nil, io.ServerSideEmit("hello", rest...)
	case "helloAck":
		return io.ServerSideEmitWithAck(ctx, "hello", rest...)
	case "heard":
		all := []any{}
		for len(heard) > 0 {
			all = append(all, <-heard)
		}
		return all, nil
	case "count":
		return io.Adapter().ServerCount(ctx)
	}
	return nil, nil
}

// emitterDo has our emitter do what a server can that only emits.
func emitterDo(e redisadapter.Emitter, args []parser.Value) error {
	ctx := context.Background()
	var what string
	var to chosen
	if err := args[0].Decode(&what); err != nil {
		return err
	}
	args = args[1:]
	if what != "hello" {
		if err := args[0].Decode(&to); err != nil {
			return err
		}
		args = args[1:]
	}
	if e = e.To(to.To...).Except(to.Except...); to.Volatile {
		e = e.Volatile()
	}
	var rest []any
	var names []string
	for _, v := range args {
		rest = append(rest, v)
		var s string
		_ = v.Decode(&s)
		names = append(names, s)
	}
	switch what {
	case "emit":
		return e.Emit(ctx, "t", rest...)
	case "join":
		return e.SocketsJoin(ctx, names...)
	case "leave":
		return e.SocketsLeave(ctx, names...)
	case "disconnect":
		var closeClients bool
		_ = args[0].Decode(&closeClients)
		return e.DisconnectSockets(ctx, closeClients)
	case "hello":
		return e.ServerSideEmit(ctx, "hello", rest...)
	}
	return errors.New("an emitter cannot do that")
}
