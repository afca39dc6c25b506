package redisadapter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

func TestStreams(t *testing.T) {
	server := brokers.Redis(t)
	for i, o := range []redisadapter.StreamsOptions{{}, {UseShardedPubSub: true, StreamCount: 4}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			o.StreamName, o.ChannelPrefix = fmt.Sprint("s", i), fmt.Sprint("c", i)
			everything(t, newMember(t, redisadapter.NewStreams(redisClient(t, server.Addr), &o), nil),
				newMember(t, redisadapter.NewStreams(redisClient(t, server.Addr), &o), nil))
		})
	}
}

// recoverable is servers whose clients may come back to any of them.
func recoverable(t *testing.T, server *brokers.Server, n int, o *redisadapter.StreamsOptions) (all []*member) {
	for range n {
		all = append(all, newMember(t, redisadapter.NewStreams(redisClient(t, server.Addr), o), &socketio.ConnectionStateRecovery{}))
	}
	for _, m := range all {
		m.count(t, n)
	}
	return all
}

// event takes an event with an offset.
func (p *connection) event() (args []any, offset string) {
	p.t.Helper()
	return split(p.t, p.read())
}

func split(t testing.TB, text string) (args []any, offset string) {
	t.Helper()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "42")), &args); err != nil || len(args) < 2 {
		t.Fatalf("%q: %v", text, err)
	}
	offset, _ = args[len(args)-1].(string)
	return args[:len(args)-1], offset
}

func auth(pid, offset string) string {
	text, _ := json.Marshal(map[string]string{"pid": pid, "offset": offset})
	return string(text)
}

func TestStreamsRecovery(t *testing.T) {
	server := brokers.Redis(t)
	all := recoverable(t, server, 2, nil)
	a, b := all[0], all[1]
	p := a.client(t, "")
	s := a.Socket(p.id)
	s.Join("blue", "green")
	s.SetData(map[string]any{"name": "ann", "key": []byte{1, 2}})
	// All that it gets comes in the order of the stream.
	for i := range 20 {
		_ = all[i%2].Emit("n", i)
	}
	var offsets []string
	var order []any
	seen := map[any]bool{}
	for range 20 {
		args, offset := p.event()
		offsets = append(offsets, offset)
		order = append(order, args[1])
		seen[args[1]] = true
	}
	sorted := slices.IsSortedFunc(offsets, func(x, y string) int {
		var xt, xn, yt, yn int
		fmt.Sscanf(x, "%d-%d", &xt, &xn)
		fmt.Sscanf(y, "%d-%d", &yt, &yn)
		return (xt-yt)*1000 + xn - yn
	})
	if !sorted || len(seen) != 20 {
		t.Fatalf("%v", offsets)
	}
	_ = p.c.CloseNow()
	becomes(t, func() bool { return a.Len() == 0 })
	_ = a.To("blue").Emit("missed", 1)
	_ = a.To("red").Emit("other")
	_ = a.To("green", "red").Emit("missed", 2)
	_ = a.To("green").Except("blue").Emit("other")
	_ = a.Volatile().Emit("other")
	_ = a.Emit("missed", []byte{3})
	becomes(t, func() bool { // and are in the stream
		n, err := redisClient(t, server.Addr).XLen(context.Background(), "socket.io").Result()
		return err == nil && n == 26
	})
	back := b.client(t, auth(p.pid, offsets[18]))
	if back.id != p.id || back.pid != p.pid {
		t.Fatalf("%s came back as %s", p.id, back.id)
	}
	if args, offset := split(t, back.before[0]); args[1] != order[19] || offset != offsets[19] {
		t.Errorf("%v", back.before)
	}
	if len(back.before) != 5 {
		t.Fatalf("%q", back.before)
	}
	for i := range 2 {
		if args, _ := split(t, back.before[i+1]); args[0] != "missed" || args[1] != float64(i+1) {
			t.Errorf("%v", args)
		}
	}
	if !strings.HasPrefix(back.before[3], `451-["missed",{"_placeholder":true,"num":0},"`) || back.before[4] != "\x03" {
		t.Errorf("%q", back.before)
	}
	again := b.Socket(p.id)
	data, _ := again.Data().(map[string]any)
	key, _ := data["key"].([]byte)
	if !again.Recovered() || !slices.Equal(again.Rooms(), []string{p.id, "blue", "green"}) || data["name"] != "ann" || len(key) != 2 {
		t.Errorf("%v %v %v", again.Recovered(), again.Rooms(), again.Data())
	}
	_ = a.To("blue").Emit("live", 1)
	args, last := back.event()
	if args[0] != "live" {
		t.Errorf("%v", args)
	}
	_ = back.c.CloseNow()
	becomes(t, func() bool { return b.Len() == 0 })
	for what, say := range map[string]string{
		"an unknown pid": auth(strings.Repeat("x", 40), last), "no offset": `{"pid":"` + p.pid + `"}`,
		"a foreign offset": auth(p.pid, "1-1"), "one to come": auth(p.pid, "99999999999999-0"), "garbage": auth(p.pid, "x"),
	} {
		if other := a.client(t, say); other.id == p.id || other.pid == p.pid || len(other.before) > 0 {
			t.Errorf("with %s: %s %q", what, other.id, other.before)
		}
	}
	if third := a.client(t, auth(p.pid, last)); third.id != p.id {
		t.Error("the session was spent by what did not fit")
	}
	if fourth := b.client(t, auth(p.pid, last)); fourth.id == p.id {
		t.Error("a session was had twice")
	}
}

// Clients that are cut all the time, and come back to any server, get everything once and in order.
func TestStreamsRecoveryUnderLoad(t *testing.T) {
	server := brokers.Redis(t)
	all := recoverable(t, server, 2, nil)
	const events = 600
	p := all[0].client(t, "")
	go func() {
		for i := range events {
			_ = all[i/7%2].Emit("n", i)
			time.Sleep(time.Millisecond)
		}
	}()
	next := make([]int, 2)
	var got int
	offset := ""
	take := func(text string) {
		args, o := split(t, text)
		i := int(args[1].(float64))
		from := i / 7 % 2
		want := next[from]
		if i != want {
			t.Fatalf("%d of server %d, want %d", i, from, want)
		}
		for next[from]++; next[from]/7%2 != from; next[from]++ {
		}
		offset = o
		got++
	}
	next[1] = 7
	for cut := 1; got < events; cut++ {
		for range 40 {
			if take(p.read()); got == events {
				return
			}
		}
		_ = p.c.CloseNow()
		id := p.id
		if p = all[cut%2].client(t, auth(p.pid, offset)); p.id != id {
			t.Fatalf("cut %d: it began anew", cut)
		}
		for _, text := range p.before {
			take(text)
		}
	}
}

// While Redis is away the sockets of a server get its events; when it is back, it goes on where it was.
func TestStreamsAway(t *testing.T) {
	server := brokers.Redis(t)
	all := recoverable(t, server, 2, &redisadapter.StreamsOptions{MaxLen: 100})
	a, b := all[0], all[1]
	pa, pb := a.client(t, ""), b.client(t, "")
	_ = a.Emit("n", 1)
	pa.event()
	pb.event()
	adapter := func(m *member) *redisadapter.StreamsAdapter { return m.Adapter().(*redisadapter.StreamsAdapter) }
	server.Kill()
	_ = a.Emit("n", 2)
	if got := pa.read(); got != `42["n",2]` {
		t.Errorf("%s", got)
	}
	becomes(t, func() bool { return adapter(a).Err() != nil && adapter(b).Err() != nil })
	server.Restart()
	becomes(t, func() bool { _ = a.Emit("probe", 1); return adapter(a).Err() == nil && adapter(b).Err() == nil })
	for {
		args, offset := pb.event()
		if offset != "" && args[0] == "probe" {
			break
		}
	}
	if adapter(b).Lost() != 0 {
		t.Errorf("%d times entries were lost", adapter(b).Lost())
	}
	// One that comes back without the stream is noticed, and read from its beginning.
	server.RestartEmpty()
	becomes(t, func() bool { return adapter(b).Lost() > 0 })
	becomes(t, func() bool { _ = a.Emit("anew", 1); return adapter(a).Err() == nil && adapter(b).Err() == nil })
	for {
		if args, offset := pb.event(); offset != "" && args[0] == "anew" {
			break
		}
	}
}

// One that comes back with what the stream was a while ago, from a snapshot for instance, has nobody get anything twice.
func TestStreamsRolledBack(t *testing.T) {
	server := brokers.Redis(t, "--appendonly", "no")
	all := recoverable(t, server, 2, nil)
	a, b := all[0], all[1]
	pa := a.client(t, "")
	for i := range 3 {
		_ = b.Emit("n", i)
		pa.event()
	}
	if _, err := server.Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	_ = b.Emit("n", 3)
	pa.event()
	server.Kill()
	adapter := func(m *member) *redisadapter.StreamsAdapter { return m.Adapter().(*redisadapter.StreamsAdapter) }
	becomes(t, func() bool { return adapter(a).Err() != nil })
	server.Restart()
	becomes(t, func() bool { return adapter(a).Lost() == 1 && adapter(a).Err() == nil })
	becomes(t, func() bool { _ = b.Emit("probe", 1); return adapter(b).Err() == nil })
	_ = b.Emit("last", 1)
	for {
		args, _ := pa.event()
		if args[0] == "n" {
			t.Errorf("%v has come twice", args)
		}
		if args[0] == "last" {
			break
		}
	}
}

// A server that is held up for so long that entries are dropped says so.
func TestStreamsTrimmed(t *testing.T) {
	server := brokers.Redis(t)
	all := recoverable(t, server, 1, nil)
	b := all[0]
	client := redisClient(t, server.Addr)
	ctx := context.Background()
	// The reader is cut off, and meanwhile the stream is made anew from later entries.
	if err := client.Do(ctx, "CONFIG", "SET", "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	_ = b.Emit("n", 1)
	becomes(t, func() bool { n, _ := client.XLen(ctx, "socket.io").Result(); return n == 1 })
	_, err := client.TxPipelined(ctx, func(p redisPipeliner) error {
		p.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
		for range 20 {
			p.Do(ctx, "XADD", "socket.io", "*", "uid", "other", "nsp", "/", "type", "3", "data", "{}")
		}
		p.Do(ctx, "XTRIM", "socket.io", "MAXLEN", 5)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	becomes(t, func() bool { return b.Adapter().(*redisadapter.StreamsAdapter).Lost() == 1 })
	if s := b.Adapter().(*redisadapter.StreamsAdapter).Stats(); s.Ignored > 5 {
		t.Errorf("%+v", s)
	}
}

// Sessions and missed events of one that comes too late are gone.
func TestStreamsTooLate(t *testing.T) {
	server := brokers.Redis(t)
	m := newMember(t, redisadapter.NewStreams(redisClient(t, server.Addr), nil),
		&socketio.ConnectionStateRecovery{MaxDisconnectionDuration: 50 * time.Millisecond})
	m.count(t, 1)
	p := m.client(t, "")
	_ = m.Emit("n", 1)
	_, offset := p.event()
	_ = p.c.CloseNow()
	client := redisClient(t, server.Addr)
	becomes(t, func() bool { return m.Len() == 0 })
	becomes(t, func() bool { // it was there, or has been
		n, err := client.Exists(context.Background(), "sio:session:"+p.pid).Result()
		return err == nil && n == 0 && m.Adapter().(*redisadapter.StreamsAdapter).Err() == nil
	})
	time.Sleep(60 * time.Millisecond) // what is tested
	if back := m.client(t, auth(p.pid, offset)); back.id == p.id {
		t.Error("it went on")
	}
}
