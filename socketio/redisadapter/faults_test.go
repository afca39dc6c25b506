package redisadapter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// reads counts the numbers that come to a client in events n, and tells of each that does not come after the one before.
type reads struct {
	mu   sync.Mutex
	last int
	got  int
	err  error
}

func follow(p *peer) *reads {
	r := new(reads)
	go func() {
		for {
			m, err := p.read()
			if err != nil {
				return
			}
			var n int
			if _, err := fmt.Sscanf(m, `2["n",%d]`, &n); err != nil {
				continue
			}
			r.mu.Lock()
			if n <= r.last && r.err == nil {
				r.err = fmt.Errorf("%d came after %d", n, r.last)
			}
			r.last = n
			r.got++
			r.mu.Unlock()
		}
	}()
	return r
}

func (r *reads) state() (last, got int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.got, r.err
}

// through emits numbers at one node while f makes trouble, until those that are emitted later arrive at another one again. Nothing comes
// twice or out of order, and what is emitted comes to the node's own client whatever happens.
func through(t *testing.T, from, to *node, f func()) {
	t.Helper()
	theirs, ours := follow(to.peer), follow(from.peer)
	sent := 0
	emit := func() {
		sent++
		if err := from.Emit("n", sent); err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		emit()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for again := true; again; {
		select {
		case <-done:
			again = false
		default:
			emit()
			time.Sleep(time.Millisecond)
		}
	}
	mark := sent
	eventually(t, "what is emitted later arrives", func() bool {
		emit()
		last, _, _ := theirs.state()
		return last > mark
	})
	_, before, _ := theirs.state()
	mark = sent
	for range 100 {
		emit()
	}
	eventually(t, "all of what comes then arrives", func() bool {
		last, got, _ := theirs.state()
		return last == sent && got-before >= sent-mark
	})
	eventually(t, "a client here gets all", func() bool {
		_, got, _ := ours.state()
		return got == sent
	})
	last, got, err := theirs.state()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d of %d arrived, the last is %d; %+v; %+v", got, sent, last, from.adapter().Stats(), to.adapter().Stats())
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestRedisRestarts(t *testing.T) {
	testkit.NoLeaks(t)
	s := brokers.Redis(t)
	log := new(lines)
	wrong := make(chan error, 100)
	o := &redisadapter.Options{
		Logger:  slog.New(slog.NewTextHandler(log, nil)),
		OnError: func(err error) { wrong <- err },
	}
	all := []*node{start(t, "a", connect(t, s), o), start(t, "b", connect(t, s), nil)}
	together(t, all)
	through(t, all[0], all[1], func() {
		s.Kill()
		eventually(t, "it is seen that Redis is away", func() bool { return all[0].adapter().Err() != nil && all[1].adapter().Err() != nil })
		s.Restart()
	})
	together(t, all) // all is subscribed to again
	testkit.Within(t, "an error", wrong)
	if !strings.Contains(log.String(), "Redis is away") || !strings.Contains(log.String(), "Redis is back") {
		t.Errorf("log: %s", log)
	}
	if n := all[1].adapter().Stats().Reconnects; n == 0 {
		t.Error("the connection was not made again")
	}
	// One that stands still for a moment loses nothing.
	before := all[0].adapter().Stats().Lost
	s.Pause()
	_ = all[0].Emit("n", 1_000_000)
	s.Continue()
	eventually(t, "all is published", func() bool { return all[0].adapter().Stats().Queued == 0 })
	if after := all[0].adapter().Stats().Lost; after != before {
		t.Errorf("%d messages lost", after-before)
	}
}

// While Redis is away memory is bounded, requests fail, and the server can be closed.
func TestRedisAway(t *testing.T) {
	testkit.NoLeaks(t)
	s := brokers.Redis(t)
	const most = 64 << 10
	n := start(t, "a", connect(t, s), &redisadapter.Options{MaxQueueBytes: most, RequestsTimeout: 100 * time.Millisecond})
	together(t, []*node{n})
	s.Kill()
	text := strings.Repeat("x", 1000)
	for range 1000 {
		if err := n.Emit("big", text); err != nil {
			t.Fatal(err)
		}
	}
	if stats := n.adapter().Stats(); stats.Queued > most || stats.Lost < 900 {
		t.Errorf("%+v", stats)
	}
	for range 1000 {
		if got := n.recv(); !strings.HasPrefix(got, `2["big"`) {
			t.Fatalf("got %q", got)
		}
	}
	ctx := t.Context()
	if sockets, err := n.FetchSockets(ctx); err == nil || len(sockets) != 1 {
		t.Errorf("FetchSockets: %v, %v", sockets, err)
	}
	n.SocketsJoin("room") // here at once
	if err := n.To("room").Emit("room"); err != nil {
		t.Error(err)
	}
	n.expect(`2["room"]`)
	go func() {
		n.recv()
		n.send(`30["yes"]`)
	}()
	answers, err := n.Timeout(testkit.Patience).EmitWithAck(ctx, "?")
	if len(answers) != 1 || err == nil {
		t.Errorf("EmitWithAck: %v, %v", answers, err)
	}
}

// What waits for others ends with the adapter.
func TestClose(t *testing.T) {
	testkit.NoLeaks(t)
	s := brokers.Redis(t)
	all := []*node{start(t, "a", connect(t, s), nil), start(t, "b", connect(t, s), nil)}
	together(t, all)
	asked := make(chan struct{})
	all[1].OnServerSide("never", func(socketio.Args, func(any)) { close(asked) })
	done := make(chan error, 1)
	go func() {
		_, err := all[0].ServerSideEmitWithAck(context.Background(), "never")
		done <- err
	}()
	testkit.Within(t, "the question", asked)
	if err := all[0].Server.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := testkit.Within(t, "the end", done); !errors.Is(err, redisadapter.ErrClosed) {
		t.Errorf("%v", err)
	}
	eventually(t, "the other one is alone", func() bool {
		n, err := all[1].Adapter().ServerCount(t.Context())
		return err == nil && n == 1
	})
	if _, err := all[0].Server.Of("/").FetchSockets(t.Context()); err != nil && !errors.Is(err, redisadapter.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// A client may connect, and other servers be made of it, while a server is.
func TestClientInUse(t *testing.T) {
	s := brokers.Redis(t)
	for range 20 {
		client := connect(t, s)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				io := socketio.NewServer(&socketio.Options{Adapter: redisadapter.New(client, nil)})
				if err := io.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				if err := client.Ping(t.Context()).Err(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// prove is for what takes long.
func prove(t *testing.T) {
	t.Helper()
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("BARO_PROOF=1 runs it")
	}
}

func TestSentinelFailover(t *testing.T) {
	prove(t)
	testkit.NoLeaks(t)
	s := brokers.Sentinel(t)
	client := func() redis.UniversalClient {
		c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: s.Name, SentinelAddrs: s.Addrs()})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	all := []*node{start(t, "a", client(), nil), start(t, "b", client(), nil)}
	together(t, all)
	through(t, all[0], all[1], func() {
		s.Master.Kill()
		promoted(t, s.Replica)
	})
	together(t, all)
}

func TestClusterFailover(t *testing.T) {
	prove(t)
	testkit.NoLeaks(t)
	masters := brokers.RedisCluster(t, 3)
	slot, err := masters[0].Do("CLUSTER", "KEYSLOT", "socket.io")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(slot)
	master := masters[n*len(masters)/16384] // by which all is published
	replica := brokers.Replica(t, master)
	client := connectCluster(t, masters)
	all := []*node{start(t, "a", client(), nil), start(t, "b", client(), nil)}
	together(t, all)
	through(t, all[0], all[1], func() {
		master.Kill()
		promoted(t, replica)
	})
	together(t, all)
	master.Restart()
	together(t, all)
}

// promoted waits until a replica has become the master.
func promoted(t *testing.T, s *brokers.Server) {
	eventually(t, "the replica is the master", func() bool {
		info, err := s.Do("INFO", "replication")
		return err == nil && strings.Contains(info, "role:master")
	})
}

// A Redis that stands still is noticed, and what comes after that arrives.
func TestRedisStandsStill(t *testing.T) {
	prove(t)
	testkit.NoLeaks(t)
	s := brokers.Redis(t)
	all := []*node{start(t, "a", connect(t, s), nil), start(t, "b", connect(t, s), nil)}
	together(t, all)
	through(t, all[0], all[1], func() {
		s.Pause()
		eventually(t, "it is seen that Redis stands still", func() bool { return all[1].adapter().Err() != nil })
		s.Continue()
	})
	together(t, all)
}
