package brokers_test

import (
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers"
)

func do(t *testing.T, s *brokers.Server, command ...string) string {
	t.Helper()
	reply, err := s.Do(command...)
	if err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	return reply
}

// What Redis has it has after it was killed or has ended, and not if it is to have lost it.
func TestRedis(t *testing.T) {
	s := brokers.Redis(t)
	addr := s.Addr
	do(t, s, "SET", "key", "value")
	s.Kill()
	if _, err := s.Do("PING"); err == nil {
		t.Error("answers when it was killed")
	}
	s.Restart()
	if got := do(t, s, "GET", "key"); got != "value" || s.Addr != addr {
		t.Errorf("%q at %s", got, s.Addr)
	}
	s.Stop()
	s.Restart()
	if got := do(t, s, "GET", "key"); got != "value" {
		t.Errorf("%q", got)
	}
	s.Pause()
	answer := make(chan string)
	go func() {
		reply, _ := s.Do("GET", "key")
		answer <- reply
	}()
	select {
	case reply := <-answer:
		t.Errorf("one that stands still answers %q", reply)
	case <-time.After(50 * time.Millisecond):
		s.Continue()
		if reply := <-answer; reply != "value" {
			t.Errorf("%q", reply)
		}
	}
	s.RestartEmpty()
	if got := do(t, s, "DBSIZE"); got != "0" {
		t.Errorf("%s keys", got)
	}
}

func TestRedisCluster(t *testing.T) {
	all := brokers.RedisCluster(t, 3)
	moved := 0
	for _, s := range all {
		if _, err := s.Do("GET", "key"); err != nil && strings.HasPrefix(err.Error(), "MOVED") {
			moved++
		}
	}
	if moved != 2 {
		t.Errorf("%d nodes say that a key is elsewhere", moved)
	}
	all[0].Restart()
	brokers.Replica(t, all[0])
}

func TestSentinel(t *testing.T) {
	s := brokers.Sentinel(t)
	s.Master.Kill()
	replica := s.Replica.Addr[strings.LastIndex(s.Replica.Addr, ":")+1:]
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if master := do(t, s.Sentinels[0], "SENTINEL", "get-master-addr-by-name", s.Name); strings.HasSuffix(master, replica) {
			return
		} else if time.Since(start) > 30*time.Second {
			t.Fatalf("the master is %q", master)
		}
	}
}

func TestNATS(t *testing.T) {
	s := brokers.NATS(t)
	s.Kill()
	s.Restart()
	s.Stop()
	s.RestartEmpty()
}
