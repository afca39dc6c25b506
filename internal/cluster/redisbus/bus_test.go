package redisbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/bustest"
	"baro.dev/internal/cluster/redisbus"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

var clusters atomic.Int32

func connect(t *testing.T, r *redis.UniversalOptions, o redisbus.Options) *redisbus.Bus {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	b, err := redisbus.Open(r, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func one(addrs ...string) *redis.UniversalOptions {
	return &redis.UniversalOptions{Addrs: addrs, IsClusterMode: len(addrs) > 1}
}

func pairs(r *redis.UniversalOptions, o redisbus.Options) func(t *testing.T) (a, b cluster.Bus) {
	return func(t *testing.T) (a, b cluster.Bus) {
		o := o
		if o.Prefix == "" {
			o.Prefix = fmt.Sprintf("test%d:", clusters.Add(1))
		}
		x, y := connect(t, r, o), connect(t, r, o)
		eventually(t, "they are there", func() bool { return x.Err() == nil && y.Err() == nil })
		return x, y
	}
}

// settled is a bus of which Listen waits: where subjects are on several servers, that one of them is listened for says nothing of others.
type settled struct {
	*redisbus.Bus
	t *testing.T
}

func (s settled) Listen(name string, f func([]byte)) (func(), error) {
	stop, err := s.Bus.Listen(name, f)
	for start := time.Now(); err == nil && !s.Settled(); time.Sleep(50 * time.Microsecond) {
		if time.Since(start) > testkit.Patience {
			s.t.Fatal("it is not listened for")
		}
	}
	return stop, err
}

func addrs(servers []*brokers.Server) (all []string) {
	for _, s := range servers {
		all = append(all, s.Addr)
	}
	return all
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("not within %v: %s", testkit.Patience, what)
		}
	}
}

func listen(t *testing.T, b cluster.Bus, subject string, count *atomic.Int32) (stop func()) {
	t.Helper()
	stop, err := b.Listen(subject, func([]byte) { count.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

func TestBus(t *testing.T) {
	bustest.Run(t, pairs(one(brokers.Redis(t).Addr), redisbus.Options{}))
}

func TestBusCluster(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	bustest.Run(t, func(t *testing.T) (a, b cluster.Bus) {
		a, b = pairs(one(addrs(servers)...), redisbus.Options{})(t)
		return settled{a.(*redisbus.Bus), t}, settled{b.(*redisbus.Bus), t}
	})
	t.Run("unsharded", func(t *testing.T) {
		bustest.Run(t, pairs(one(addrs(servers)...), redisbus.Options{Unsharded: true}))
	})
}

// Redis is killed and comes back: what is sent meanwhile fails, and afterwards what was listened for comes again, and what was listened
// for meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t)
	var log lines
	a, b := pairs(one(server.Addr), redisbus.Options{Beat: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})(t)
	var gaps, before, during atomic.Int32
	b.OnGap(func() { gaps.Add(1) })
	listen(t, b, "before", &before)
	bustest.Ready(t, a, b)
	server.Kill()
	eventually(t, "it is noticed", func() bool { return a.Err() != nil && b.Err() != nil })
	if err := a.Publish("before", nil); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("sent without Redis: %v", err)
	}
	listen(t, b, "during", &during)
	if got := gaps.Load(); got != 0 {
		t.Errorf("%d gaps before it is back", got)
	}
	time.Sleep(300 * time.Millisecond) // for some attempts to connect
	server.Restart()
	eventually(t, "it is back", func() bool { return a.Err() == nil && b.Err() == nil && gaps.Load() > 0 })
	eventually(t, "messages come", func() bool {
		_, _ = a.Publish("before", nil), a.Publish("during", nil)
		return before.Load() > 0 && during.Load() > 0
	})
	if n := log.Load(); n != 2 {
		t.Errorf("two buses that lost a connection wrote %d lines to the log", n)
	}
}

// lines counts what is logged.
type lines struct{ atomic.Int32 }

func (l *lines) Write(p []byte) (int, error) {
	l.Add(1)
	return len(p), nil
}

// There is no Redis at first.
func TestLate(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t)
	server.Kill()
	b := connect(t, one(server.Addr), redisbus.Options{})
	var came atomic.Int32
	listen(t, b, "x", &came)
	if err := b.Publish("x", nil); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	server.Restart()
	eventually(t, "messages come", func() bool { _ = b.Publish("x", nil); return came.Load() > 0 })
}

// Redis stands still: nothing waits for it, what waits is bounded, and it is noticed.
func TestPause(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t)
	o := redisbus.Options{MaxOutgoing: 1 << 20, Beat: 200 * time.Millisecond}
	a, b := pairs(one(server.Addr), o)(t)
	bustest.Ready(t, a, b)
	server.Pause()
	data := make([]byte, 64<<10)
	var took []time.Duration
	refused := 0
	for range 500 { // 32 MB: more than there is room for
		began := time.Now()
		err := a.Publish("x", data)
		took = append(took, time.Since(began))
		if err != nil {
			refused++
			if !errors.Is(err, cluster.ErrAway) {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(took)
	if median := took[len(took)/2]; refused == 0 || median > 10*time.Millisecond {
		t.Errorf("%d were refused; the median took %v", refused, median)
	}
	eventually(t, "it is noticed", func() bool { return a.Err() != nil && b.Err() != nil })
	// Though one can connect to it: the kernel takes connections.
	for began := time.Now(); time.Since(began) < 8*o.Beat; time.Sleep(time.Millisecond) {
		if a.Err() == nil || b.Err() == nil {
			t.Fatalf("it is forgotten after %v", time.Since(began))
		}
	}
	server.Continue()
	eventually(t, "it is back", func() bool { return a.Err() == nil && b.Err() == nil })
	bustest.Ready(t, a, b)
}

// Whoever listens does not keep up: what is more than there is room for is lost, and it is told.
func TestSlow(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t)
	a, b := pairs(one(server.Addr), redisbus.Options{MaxIncoming: 1 << 20})(t)
	release := make(chan struct{})
	var got, gaps atomic.Int32
	if _, err := b.Listen("slow", func([]byte) { <-release; got.Add(1) }); err != nil {
		t.Fatal(err)
	}
	defer close(release)
	b.OnGap(func() { gaps.Add(1) })
	bustest.Ready(t, a, b)
	for range 200 {
		eventually(t, "there is room", func() bool { return a.Publish("slow", make([]byte, 32<<10)) == nil })
	}
	eventually(t, "the gap is told", func() bool { return gaps.Load() > 0 })
	bustest.Ready(t, a, b) // others do not wait
}

// What is longer than it may be, whoever sent it, is skipped without being read into memory, and others get theirs. (By default Redis ends
// the connection of a subscriber to whom it would have to send more than 32 MB.)
func TestPoison(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t, "--client-output-buffer-limit", "pubsub", "0", "0", "0")
	o := redisbus.Options{Prefix: "p:", MaxBytes: 1 << 10}
	b := connect(t, one(server.Addr), o)
	var gaps, came atomic.Int32
	b.OnGap(func() { gaps.Add(1) })
	listen(t, b, "x", &came)
	bustest.Ready(t, b, b)
	long := strings.Repeat("x", 40<<20)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, WriteTimeout: testkit.Patience, ReadTimeout: testkit.Patience})
	defer client.Close()
	if err := client.Publish(t.Context(), "p:b0:x", long).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is skipped", func() bool { return b.Skipped() == 1 && gaps.Load() > 0 })
	if err := b.Publish("x", []byte("fine")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "others come", func() bool { return came.Load() == 1 })
}

// A slot goes to another master while it is used: messages come again after a moment, and the gap is told.
func TestReshard(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 2)
	a, b := pairs(one(addrs(servers)...), redisbus.Options{Prefix: "moves:"})(t)
	var gaps, came atomic.Int32
	b.OnGap(func() { gaps.Add(1) })
	listen(t, b, "x", &came)
	bustest.Ready(t, a, b)
	eventually(t, "messages come", func() bool { _ = a.Publish("x", nil); return came.Load() > 0 })
	name := "moves:b0:x"
	from, to := servers[0], servers[1]
	slot, err := from.Do("CLUSTER", "KEYSLOT", name)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := from.Do("PUBSUB", "SHARDNUMSUB", name); !strings.HasSuffix(n, "1") {
		from, to = to, from
	}
	brokers.MoveSlot(t, slot, from, to)
	eventually(t, "the gap is told", func() bool { return gaps.Load() > 0 })
	was := came.Load()
	eventually(t, "messages come", func() bool { _ = a.Publish("x", nil); return came.Load() > was })
}

// What is sent on one subject comes in that order, while its slot goes to and fro.
func TestReshardInOrder(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 2)
	a, b := pairs(one(addrs(servers)...), redisbus.Options{Prefix: "moves:"})(t)
	var came, last, behind atomic.Int64
	if _, err := b.Listen("x", func(data []byte) {
		n, _ := strconv.ParseInt(string(data), 10, 64)
		if before := last.Swap(n); n <= before {
			behind.Add(1)
		}
		came.Add(1)
	}); err != nil {
		t.Fatal(err)
	}
	bustest.Ready(t, a, b)
	slot, err := servers[0].Do("CLUSTER", "KEYSLOT", "moves:b0:x")
	if err != nil {
		t.Fatal(err)
	}
	from, to := servers[0], servers[1]
	if n, _ := strconv.Atoi(slot); n >= 16384/2 {
		from, to = to, from
	}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for n := 1; ; n++ {
			_ = a.Publish("x", strconv.AppendInt(nil, int64(n), 10))
			if n%10 > 0 {
				continue
			}
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	})
	for range 12 {
		before := came.Load()
		eventually(t, "messages come", func() bool { return came.Load() > before+100 })
		brokers.MoveSlot(t, slot, from, to)
		from, to = to, from
	}
	close(stop)
	sending.Wait()
	if n := behind.Load(); n > 0 {
		t.Errorf("%d of %d came after later ones", n, came.Load())
	}
}

// A master is gone and its replica takes over, while so much is sent that something waits always.
func TestFailover(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("takes some seconds: make prove")
	}
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	a, b := pairs(one(addrs(servers)...), redisbus.Options{Prefix: "moves:"})(t)
	name := "moves:b0:x"
	slot, _ := servers[0].Do("CLUSTER", "KEYSLOT", name)
	n, _ := strconv.Atoi(slot)
	owner := servers[n*3/16384]
	replica := brokers.Replica(t, owner)
	var came atomic.Int32
	listen(t, b, "x", &came)
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for {
			_ = a.Publish("x", nil)
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	})
	eventually(t, "messages come", func() bool { return came.Load() > 100 })
	owner.Kill()
	eventually(t, "it has taken over", func() bool {
		role, err := replica.Do("ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
	before := came.Load()
	eventually(t, "messages come again", func() bool { return came.Load() > before+100 })
	close(stop)
	sending.Wait()
}

// What was taken and could not be sent is a gap for who has sent it, though it hears the others all the time.
func TestNotSent(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t)
	a, b := pairs(one(server.Addr), redisbus.Options{Beat: time.Hour})(t)
	bustest.Ready(t, a, b)
	var gaps atomic.Int32
	a.OnGap(func() { gaps.Add(1) })
	if _, err := server.Do("CLIENT", "PAUSE", "600000", "WRITE"); err != nil {
		t.Fatal(err)
	}
	if err := a.Publish("x", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is under way", func() bool {
		all, err := server.Do("CLIENT", "LIST")
		return err == nil && strings.Contains(all, " flags=b ")
	})
	for _, command := range []string{"CLIENT KILL TYPE normal", "CLIENT UNPAUSE"} {
		if _, err := server.Do(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
	}
	bustest.Ready(t, a, b)
	eventually(t, "the gap is told", func() bool { return gaps.Load() > 0 })
}

// What is over is not on the shelf, however much that is.
func TestShelfOver(t *testing.T) {
	t.Parallel()
	server := brokers.Redis(t)
	b := connect(t, one(server.Addr), redisbus.Options{})
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	for i := range 2500 {
		client.HSet(t.Context(), "baro:s:{calls}:h", i, "x")
		client.ZAdd(t.Context(), "baro:s:{calls}:t", redis.Z{Score: 1, Member: i})
	}
	if _, ok, err := b.Take(t.Context(), "calls", "999"); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if all, err := b.List(t.Context(), "calls"); len(all) > 0 || err != nil {
		t.Errorf("%d, %v", len(all), err)
	}
}

func TestShelf(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*redis.UniversalOptions{
		"single": one(brokers.Redis(t).Addr), "cluster": one(addrs(brokers.RedisCluster(t, 3))...),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := connect(t, r, redisbus.Options{}), connect(t, r, redisbus.Options{})
			ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
			defer cancel()
			var s, other cluster.Shelf = a, b
			for i := range 10 {
				if err := s.Put(ctx, "calls {of} %one", fmt.Sprint(i), fmt.Appendf(nil, "\x00%d", i), time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Put(ctx, "calls {of} %one", "0", []byte("again"), time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := s.Put(ctx, "calls {of} %one", "short", []byte("x"), time.Millisecond); err != nil {
				t.Fatal(err)
			}
			eventually(t, "one is over", func() bool {
				all, err := other.List(ctx, "calls {of} %one")
				return err == nil && len(all) == 10 && string(all["0"]) == "again" && string(all["7"]) == "\x007"
			})
			if all, err := s.List(ctx, "another"); err != nil || len(all) != 0 {
				t.Errorf("%v, %v", all, err)
			}
			takers := make(chan bool, 20)
			for i := range cap(takers) {
				go func() {
					_, ok, err := []cluster.Shelf{s, other}[i%2].Take(ctx, "calls {of} %one", "7")
					takers <- ok && err == nil
				}()
			}
			took := 0
			for range cap(takers) {
				if <-takers {
					took++
				}
			}
			if took != 1 {
				t.Errorf("%d have taken it", took)
			}
			if _, ok, err := s.Take(ctx, "calls {of} %one", "none"); ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		})
	}
	b := connect(t, one("127.0.0.1:1"), redisbus.Options{})
	if _, err := b.List(t.Context(), "x"); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("without Redis: %v", err)
	}
}
