package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// publish has publishers on all brokers try until each of their messages is there, and says where each is.
func publish(t *testing.T, all []*redisbroker.Broker, name string, each int, between func(n int)) map[string]channel.Position {
	t.Helper()
	var mu sync.Mutex
	told := make(map[string]channel.Position)
	var wg sync.WaitGroup
	for i, b := range all {
		for p := range 3 {
			wg.Go(func() {
				for n := range each {
					what := fmt.Sprintf("%d/%d/%d", i, p, n)
					m := putAll(t, b, name, &channel.Message{Key: what, Data: []byte(what)})
					mu.Lock()
					told[what] = m.Position()
					count := len(told)
					mu.Unlock()
					if i == 0 && p == 0 {
						between(count)
					}
				}
			})
		}
	}
	wg.Wait()
	return told
}

// check says whether feeds have every message that was acknowledged, once and where its publisher was told.
func check(t *testing.T, told map[string]channel.Position, feeds ...*feed) {
	t.Helper()
	var last channel.Position
	for _, p := range told {
		if p.Offset > last.Offset {
			last = p
		}
	}
	for i, f := range feeds {
		f.untilAt(t, last)
		f.mu.Lock()
		seen := map[string]int{}
		for _, what := range f.order {
			seen[what]++
		}
		for what, p := range told {
			if f.got[p] != what || seen[what] != 1 {
				t.Errorf("feed %d: %q was said to be at %s, there is %q; it came %d times", i, what, p, f.got[p], seen[what])
			}
		}
		if len(f.lost) != 0 {
			t.Errorf("feed %d was told that something is lost", i)
		}
		f.mu.Unlock()
	}
}

// Redis is killed again and again while it is used, and keeps what it has: nothing is lost, nothing is there twice, nobody is told otherwise.
func TestKill(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	a, b := open(t, single(s), redisbroker.Options{}), open(t, single(s), redisbroker.Options{})
	fa, _ := follow(t, a, "a")
	fb, _ := follow(t, b, "a")
	kills := 0
	told := publish(t, []*redisbroker.Broker{a, b}, "a", 60, func(n int) {
		if n > 80*(kills+1) && kills < 3 {
			kills++
			s.Restart()
		}
	})
	check(t, told, fa, fb)
	if a.Stats().Forks+b.Stats().Forks != 0 {
		t.Error("a channel has begun anew")
	}
}

// Redis forgets its scripts. Whoever observes is told of all that is asked of it.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	var mu sync.Mutex
	seen := map[string]int{}
	b := open(t, single(s), redisbroker.Options{CheckEvery: 100 * time.Millisecond, Observe: func(o redisbroker.Observation) {
		mu.Lock()
		defer mu.Unlock()
		if o.Err == nil && o.Took > 0 {
			seen[o.Op] += o.Count
		}
	}})
	f, _ := follow(t, b, "a")
	for n := range 5 {
		put(t, b, "a", text("%d", n))
		if _, err := s.Do("SCRIPT", "FLUSH"); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := b.Load("a", keepAll)
	if err != nil || len(saved.Recent) != 5 {
		t.Errorf("%+v, %v", saved, err)
	}
	f.untilAt(t, channel.Position{Epoch: saved.Epoch, Offset: 5})
	if read, err := b.Read("a", saved.Epoch, 2, 1<<20); err != nil || len(read) != 3 {
		t.Errorf("%d were read, %v", len(read), err)
	}
	eventually(t, "all is observed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen["append"] == 5 && seen["load"] == 1 && seen["read"] == 3 && seen["check"] > 0
	})
}

// Redis restarts with nothing: the channel begins anew, and everybody is told, who publishes and who does not.
func TestEmpty(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	a, b := open(t, single(s), redisbroker.Options{}), open(t, single(s), redisbroker.Options{})
	fa, saved := follow(t, a, "a")
	fb, _ := follow(t, b, "a")
	fc, _ := follow(t, b, "quiet")
	put(t, a, "a", text("one"))
	s.RestartEmpty()
	m := putAll(t, a, "a", &channel.Message{Key: "k", Data: []byte("two")})
	if m.Epoch == saved.Epoch {
		t.Error("the epoch is the same")
	}
	for _, f := range []*feed{fa, fb, fc} {
		f.until(t, "it is told", func() bool { return len(f.lost) > 0 })
	}
	fa.untilAt(t, m.Position())
	fb.untilAt(t, m.Position())
}

// Redis stands still: publishers are told in time, what waits is bounded, and all goes on afterwards.
func TestPause(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	const timeout = 300 * time.Millisecond
	b := open(t, single(s), redisbroker.Options{Timeout: timeout, MaxQueueBytes: 1 << 20})
	f, _ := follow(t, b, "a")
	put(t, b, "a", text("one"))
	s.Pause()
	var answers []<-chan result
	busy, away := 0, 0
	for i := range 100 {
		answers = append(answers, start(b, "a", &channel.Message{Key: fmt.Sprint(i), Data: make([]byte, 32<<10), Binary: true}, keepAll))
	}
	if queued := b.Stats().Queued; queued > 1<<20+100*300 {
		t.Errorf("%d bytes wait", queued)
	}
	for i, answer := range answers {
		select {
		case r := <-answer:
			switch {
			case errors.Is(r.err, redisbroker.ErrBusy):
				busy++
			case errors.Is(r.err, redisbroker.ErrAway):
				away++
			default:
				t.Errorf("message %d: %v", i, r.err)
			}
		case <-time.After(testkit.Patience):
			t.Fatalf("message %d is not answered", i)
		}
	}
	if busy == 0 || away == 0 || b.Stats().Queued != 0 {
		t.Errorf("%d were too many, %d not taken; %d bytes wait", busy, away, b.Stats().Queued)
	}
	if b.Err() == nil {
		t.Error("nothing is wrong")
	}
	if _, err := b.Load("a", keepAll); !errors.Is(err, redisbroker.ErrAway) {
		t.Errorf("Load: %v", err)
	}
	s.Continue()
	m := putAll(t, b, "a", &channel.Message{Key: "last"})
	f.untilAt(t, m.Position())
	eventually(t, "all is well", func() bool { return b.Err() == nil })
	if again := put(t, b, "a", &channel.Message{Key: "last"}); again.Position() != m.Position() {
		t.Errorf("%s, then %s", m.Position(), again.Position())
	}
}

// There is no Redis: everything fails, in time, and says why.
func TestAway(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	s.Kill()
	b := open(t, single(s), redisbroker.Options{Timeout: 200 * time.Millisecond})
	if _, err := try(b, "a", text("x")); !errors.Is(err, redisbroker.ErrAway) || errors.Is(err, channel.ErrUncertain) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Append: %v", err)
	}
	if _, err := b.Follow("a", keepAll, &feed{}); !errors.Is(err, redisbroker.ErrAway) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Follow: %v", err)
	}
	if err := b.Err(); !errors.Is(err, redisbroker.ErrAway) {
		t.Errorf("Err: %v", err)
	}
	s.Restart()
	eventually(t, "it is there again", func() bool {
		_, err := b.Follow("b", keepAll, &feed{})
		return err == nil && b.Err() == nil // a may be followed over another connection
	})
	f, _ := follow(t, b, "a")
	f.untilAt(t, putAll(t, b, "a", text("x")).Position())
	eventually(t, "all is well", func() bool { return b.Err() == nil })
}

// A wrong password, rights that are missing and a Redis that is full are told as what they are, and nothing is uncertain.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t, "--maxmemory", "3mb")
	for _, user := range [][]string{
		{"baro", "on", ">secret", "~baro:*", "&baro:*", "+@all"}, {"keys", "on", ">secret", "~other:*", "&*", "+@all"}, {"mute", "on", ">secret", "~*", "&other:*", "+@all"},
	} {
		if _, err := s.Do(append([]string{"ACL", "SETUSER"}, user...)...); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user, password string) *redisbroker.Broker {
		r := single(s)
		r.Username, r.Password = user, password
		return open(t, r, redisbroker.Options{Timeout: 300 * time.Millisecond})
	}
	b := as("baro", "secret")
	f, _ := follow(t, b, "a")
	f.untilAt(t, put(t, b, "a", text("x")).Position())
	for _, b := range []*redisbroker.Broker{as("baro", "wrong"), as("keys", "secret")} {
		if _, err := try(b, "a", text("x")); !errors.Is(err, redisbroker.ErrRefused) || errors.Is(err, channel.ErrUncertain) {
			t.Errorf("Append: %v", err)
		}
		if _, err := b.Load("a", keepAll); !errors.Is(err, redisbroker.ErrRefused) {
			t.Errorf("Load: %v", err)
		}
	}
	mute := as("mute", "secret")
	if _, err := mute.Follow("a", keepAll, &feed{}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Follow: %v", err)
	}
	if _, err := try(mute, "a", text("x")); !errors.Is(err, redisbroker.ErrRefused) || !errors.Is(err, channel.ErrUncertain) {
		t.Errorf("Append: %v", err)
	}
	var err error
	for i := 0; err == nil && i < 200; i++ {
		_, err = try(b, "full", &channel.Message{Data: make([]byte, 64<<10), Binary: true})
	}
	if !errors.Is(err, redisbroker.ErrRefused) || errors.Is(err, channel.ErrUncertain) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("Append to a Redis that is full: %v", err)
	}
}

// The master that has acknowledged messages is gone, and the replica does not have them: the channel begins anew, although others go on
// publishing at once.
func TestSentinel(t *testing.T) {
	t.Parallel()
	s := brokers.Sentinel(t)
	r := func() *redis.UniversalOptions {
		return &redis.UniversalOptions{Addrs: s.Addrs(), MasterName: s.Name}
	}
	a, b := open(t, r(), redisbroker.Options{}), open(t, r(), redisbroker.Options{})
	fa, _ := follow(t, a, "a")
	for i := range 5 {
		put(t, a, "a", text("kept %d", i))
	}
	put(t, a, "whole", text("x"))
	fw, _ := follow(t, b, "whole")
	eventually(t, "the replica has it", func() bool {
		n, err := s.Replica.Do("EXISTS", "baro:c:{whole}:m")
		return err == nil && n == "1"
	})
	s.Replica.Pause()
	if _, err := s.Master.Do("CLIENT", "KILL", "TYPE", "replica"); err != nil { // and it cannot connect again
		t.Fatal(err)
	}
	var old channel.Position
	for i := range 3 {
		old = put(t, a, "a", text("lost %d", i)).Position()
	}
	fa.untilAt(t, old)
	s.Master.Kill()
	s.Replica.Continue()
	// Somebody who knows nothing is the first there, and more than makes up for what was lost.
	for i := range 5 {
		putAll(t, b, "a", &channel.Message{Key: fmt.Sprint(i), Data: []byte("new")})
	}
	fa.until(t, "it is told", func() bool { return len(fa.lost) > 0 })
	last := put(t, b, "a", text("after")).Position()
	if last.Epoch == old.Epoch {
		t.Errorf("%s, and then %s", old, last)
	}
	fa.untilAt(t, last)
	saved, err := b.Load("a", keepAll)
	if err != nil || saved.Count != 11 || saved.Offset != 11 {
		t.Errorf("%d are kept of %d, %v", saved.Count, saved.Offset, err)
	}
	fw.untilAt(t, put(t, a, "whole", text("y")).Position())
	if len(fw.lost) != 0 {
		t.Error("a channel that has lost nothing has begun anew")
	}
}

// A message is acknowledged when a replica has it, where that is wanted.
func TestReplicas(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t, "--repl-diskless-sync-delay", "0")
	b := open(t, single(s), redisbroker.Options{Replicas: 1, Timeout: 200 * time.Millisecond})
	if _, err := try(b, "a", text("x")); !errors.Is(err, channel.ErrUncertain) {
		t.Errorf("without a replica: %v", err)
	}
	brokers.Redis(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Port()))
	putAll(t, b, "a", text("y"))
}

func TestSlots(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 2)
	t.Run("used", func(t *testing.T) { testReshard(t, servers) })
	t.Run("migrating", func(t *testing.T) { testMigrating(t, servers) })
}

// Slots go to another master while channels in them are used: nothing is lost, and nothing is there twice.
func testReshard(t *testing.T, servers []*brokers.Server) {
	a, b := open(t, nodes(servers), redisbroker.Options{}), open(t, nodes(servers), redisbroker.Options{})
	fa, _ := follow(t, a, "a")
	fb, _ := follow(t, b, "a")
	key := "baro:c:{a}:m"
	n, _ := servers[0].Do("CLUSTER", "KEYSLOT", key)
	from, to := servers[0], servers[1]
	if slot, _ := strconv.Atoi(n); slot >= 8192 {
		from, to = to, from
	}
	moved := false
	told := publish(t, []*redisbroker.Broker{a, b}, "a", 60, func(count int) {
		if count > 50 && !moved {
			moved = true
			brokers.MoveSlot(t, n, from, to)
		}
	})
	check(t, told, fa, fb)
}

// While a slot is on its way to another master Redis refuses scripts with keys in it: publishers wait, and are there when it has arrived.
func testMigrating(t *testing.T, servers []*brokers.Server) {
	b := open(t, nodes(servers), redisbroker.Options{Timeout: testkit.Patience})
	f, _ := follow(t, b, "b")
	n, _ := servers[0].Do("CLUSTER", "KEYSLOT", "baro:c:{b}:m")
	from, to := servers[0], servers[1]
	if slot, _ := strconv.Atoi(n); slot >= 8192 {
		from, to = to, from
	}
	toID, _ := to.Do("CLUSTER", "MYID")
	if _, err := from.Do("CLUSTER", "SETSLOT", n, "MIGRATING", toID); err != nil {
		t.Fatal(err)
	}
	answer := start(b, "b", text("x"), keepAll)
	eventually(t, "it is refused", func() bool { return b.Stats().Retried > 0 })
	brokers.MoveSlot(t, n, from, to)
	r := <-answer
	if r.err != nil {
		t.Fatal(r.err)
	}
	f.untilAt(t, r.Message.Position())
}

func nodes(servers []*brokers.Server) *redis.UniversalOptions {
	o := &redis.UniversalOptions{IsClusterMode: true}
	for _, s := range servers {
		o.Addrs = append(o.Addrs, s.Addr)
	}
	return o
}

// client gives commands of its own to a server.
func client(t testing.TB, s *brokers.Server) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, ReadTimeout: testkit.Patience, WriteTimeout: testkit.Patience})
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Ping(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

// A master of a cluster is gone, and its replica takes over: who publishes waits, who follows hears from the new one.
func TestClusterFailover(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("takes some seconds: make prove")
	}
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	owner := servers[0]
	slot, _ := owner.Do("CLUSTER", "KEYSLOT", "baro:c:{a}:m")
	if n, _ := strconv.Atoi(slot); n > 2*16384/3 {
		owner = servers[2]
	} else if n > 16384/3 {
		owner = servers[1]
	}
	brokers.Replica(t, owner)
	a, b := open(t, nodes(servers), redisbroker.Options{Timeout: testkit.Patience / 3}), open(t, nodes(servers), redisbroker.Options{})
	fa, _ := follow(t, a, "a")
	fb, _ := follow(t, b, "a")
	fa.untilAt(t, put(t, a, "a", text("before")).Position())
	if v, err := owner.Do("WAIT", "1", "5000"); err != nil || v != "1" {
		t.Fatal(v, err)
	}
	owner.Kill()
	m := putAll(t, a, "a", &channel.Message{Key: "k", Data: []byte("after")})
	fa.untilAt(t, m.Position())
	fb.untilAt(t, m.Position())
	eventually(t, "all is well", func() bool { return a.Err() == nil })
}

// A master of a cluster is gone, and its replica has taken over: who only asks finds that one.
func TestClusterFailoverAsked(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("takes some seconds: make prove")
	}
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	slot, _ := servers[0].Do("CLUSTER", "KEYSLOT", "baro:c:{a}:m")
	n, _ := strconv.Atoi(slot)
	owner := servers[n*3/16384]
	replica := brokers.Replica(t, owner)
	a, b := open(t, nodes(servers), redisbroker.Options{}), open(t, nodes(servers), redisbroker.Options{})
	m := put(t, a, "a", text("x"))
	if _, err := b.Load("a", keepAll); err != nil {
		t.Fatal(err)
	}
	if v, err := owner.Do("WAIT", "1", "5000"); err != nil || v != "1" {
		t.Fatal(v, err)
	}
	owner.Kill()
	eventually(t, "it has taken over", func() bool {
		role, err := replica.Do("ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
	eventually(t, "the new master is asked", func() bool {
		saved, err := b.Load("a", keepAll)
		return err == nil && saved.Offset == m.Offset
	})
}
