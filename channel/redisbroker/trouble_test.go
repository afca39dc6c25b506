package redisbroker_test

import (
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// Redis was away when somebody published last: it is not told to be away for as long as nobody tries again.
func TestBackUnused(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	b := open(t, single(s), redisbroker.Options{Timeout: 300 * time.Millisecond})
	put(t, b, "a", text("x"))
	s.Kill()
	if _, err := try(b, "a", text("y")); err == nil || b.Err() == nil {
		t.Errorf("without Redis: %v, %v", err, b.Err())
	}
	s.Restart()
	eventually(t, "all is well", func() bool { return b.Err() == nil })
}

// What is wrong with one channel is not wrong with Redis.
func TestErrOfChannel(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	b := open(t, single(s), redisbroker.Options{})
	client(t, s).Set(t.Context(), "baro:c:{newer}:m", "\x02", 0)
	if _, err := try(b, "newer", text("x")); !errors.Is(err, redisbroker.ErrNewer) {
		t.Error(err)
	}
	f, _ := follow(t, b, "a") // there is a connection for that
	defer f.mu.Unlock()
	f.mu.Lock()
	if err := b.Err(); err != nil {
		t.Error(err)
	}
}

// Messages that there is no room for are not kept until it is their turn to fail.
func TestBusyKeepsNothing(t *testing.T) {
	s := brokers.Redis(t)
	b := open(t, single(s), redisbroker.Options{Timeout: testkit.Patience, MaxQueueBytes: 1 << 20})
	put(t, b, "a", text("x"))
	s.Pause()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	answers := []<-chan result{start(b, "a", text("first"), keepAll)}
	for range 100 {
		answers = append(answers, start(b, "a", &channel.Message{Data: make([]byte, 1<<20), Binary: true}, keepAll))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 30<<20 {
		t.Errorf("%d MB are kept, and 1 may wait", grown>>20)
	}
	s.Continue()
	for _, answer := range answers {
		testkit.Within(t, "an answer", answer)
	}
}

// Who may run scripts need not be allowed to load them.
func TestScriptLoadDenied(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	if _, err := s.Do("ACL", "SETUSER", "baro", "on", ">secret", "~baro:*", "&baro:*", "+@all", "-script"); err != nil {
		t.Fatal(err)
	}
	r := single(s)
	r.Username, r.Password = "baro", "secret"
	b := open(t, r, redisbroker.Options{})
	put(t, b, "a", text("x"))
	put(t, b, "a", text("y"))
}

// A channel that is to keep its messages for longer from now on does, those that are there already, too.
func TestAgeGrows(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	b := open(t, single(s), redisbroker.Options{})
	keep := channel.Keep{Count: 10, Bytes: 1 << 20}
	for _, keep.Age = range []time.Duration{time.Second, 24 * time.Hour} {
		if r := <-start(b, "a", text("x"), keep); r.err != nil {
			t.Fatal(r.err)
		}
	}
	if left := client(t, s).PTTL(t.Context(), "baro:c:{a}:l").Val(); left < keep.Age {
		t.Errorf("what is kept for %v is gone in %v", keep.Age, left)
	}
}

// A master that stands still has nobody else's channels wait to be compared with the log.
func TestCompareWithoutOne(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	const timeout = time.Second
	r := nodes(servers)
	r.DialTimeout, r.ReadTimeout = timeout, timeout
	b := open(t, r, redisbroker.Options{Timeout: timeout, CheckEvery: 50 * time.Millisecond})
	asked, other := client(t, servers[0]), ""
	for i, still := 0, 0; still < 200 || other == ""; i++ {
		name := []string{"h", "s"}[i%2] + strconv.Itoa(i)
		switch slot := asked.ClusterKeySlot(t.Context(), "baro:c:{"+name+"}:m").Val(); {
		case slot < 16384/3 && name[0] == 'h':
			other = name
		case slot > 2*16384/3 && name[0] == 's':
			still++
			follow(t, b, name)
		}
	}
	f, _ := follow(t, b, other)
	f.untilAt(t, put(t, b, other, text("x")).Position())
	servers[2].Pause()
	defer servers[2].Continue()
	time.Sleep(2 * timeout) // all are due, again and again
	if err := asked.Del(t.Context(), "baro:c:{"+other+"}:m").Err(); err != nil {
		t.Fatal(err)
	}
	f.until(t, "what is wrong is noticed", func() bool { return len(f.lost) > 0 })
}

// Redis is another one that has forgotten what it had acknowledged, and others have published since: who publishes next notices that, though no
// connection was seen to break.
func TestForgottenUnseen(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	c := client(t, s)
	a := open(t, single(s), redisbroker.Options{})
	put(t, a, "a", text("kept"))
	keys := c.Keys(t.Context(), "baro:c:{a}:*").Val()
	for _, key := range keys {
		c.Copy(t.Context(), key, "before:"+key, 0, true)
	}
	lost := put(t, a, "a", text("forgotten"))
	for _, key := range keys {
		c.Rename(t.Context(), "before:"+key, key)
	}
	b := open(t, single(s), redisbroker.Options{})
	other := put(t, b, "a", text("another"))
	put(t, b, "a", text("and another"))
	if other.Position() != lost.Position() {
		t.Fatalf("%s is not there again, but %s", lost.Position(), other.Position())
	}
	if m := put(t, a, "a", text("next")); m.Epoch == lost.Epoch || a.Stats().Forks != 1 {
		t.Errorf("after %s, which is another message now, came %s", lost.Position(), m.Position())
	}
}
