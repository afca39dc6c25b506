package redisadapter

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// hearing gives what hears the channels of a Redis Cluster, and waits for it to hear one.
func hearing(t *testing.T, servers []*brokers.Server, heard func(string, string)) (s *shards, client *redis.ClusterClient, is func(string)) {
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.Addr)
	}
	client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
	s = newShards(client, true, slog.New(slog.DiscardHandler), heard)
	t.Cleanup(func() { s.close(); _ = client.Close() })
	return s, client, func(channel string) {
		t.Helper()
		for end := time.Now().Add(testkit.Patience); ; time.Sleep(time.Millisecond) {
			s.mu.Lock()
			heard := s.heardAt[channel]
			s.mu.Unlock()
			if heard {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s is not heard", channel)
			}
		}
	}
}

// of returns channels of slots from first on, and before last.
func of(t *testing.T, client *redis.ClusterClient, n int, first, last int64) (channels []string) {
	for i := 0; len(channels) < n; i++ {
		name := fmt.Sprint("channel ", i)
		if slot := client.ClusterKeySlot(t.Context(), name).Val(); slot >= first && slot < last {
			channels = append(channels, name)
		}
	}
	return channels
}

// A master that stands still has nobody wait for channels of others.
func TestSubscribeWithoutOne(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	s, client, is := hearing(t, servers, func(string, string) {})
	still, other := of(t, client, 200, 2*16384/3+1, 16384), of(t, client, 2, 0, 16384/3)
	s.want(other[0])
	is(other[0])
	servers[2].Pause()
	defer servers[2].Continue()
	s.want(append(still, other[1])...)
	is(other[1])
}

// When a slot moves the channels of others stay where they are.
func TestSlotMoves(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 2)
	var mu sync.Mutex
	got := map[string]bool{}
	s, client, is := hearing(t, servers, func(channel, _ string) {
		mu.Lock()
		defer mu.Unlock()
		got[channel] = true
	})
	two := of(t, client, 2, 0, 16384/2)
	s.want(two...)
	is(two[0])
	is(two[1])
	s.mu.Lock()
	before := s.at[two[1]]
	s.mu.Unlock()
	slot := fmt.Sprint(client.ClusterKeySlot(t.Context(), two[0]).Val())
	brokers.MoveSlot(t, slot, servers[0], servers[1])
	for end := time.Now().Add(testkit.Patience); ; time.Sleep(5 * time.Millisecond) {
		_ = client.SPublish(t.Context(), two[0], "x").Err()
		mu.Lock()
		done := got[two[0]]
		mu.Unlock()
		if done {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the channel whose slot has moved is not heard")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[two[1]] != before {
		t.Error("the connection of the others was given up")
	}
}

// A master is gone, and its replica has taken over: what is sent goes to that one, though nothing was heard from the old one.
func TestSendAfterFailover(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("BARO_PROOF=1 runs it")
	}
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	replica := brokers.Replica(t, servers[2])
	_, client, _ := hearing(t, servers, func(string, string) {})
	channels := []string{of(t, client, 1, 0, 16384/3)[0], of(t, client, 1, 2*16384/3+1, 16384)[0]}
	s := newSender(client, slog.New(slog.DiscardHandler), 1<<20)
	sent := func() bool {
		all := true
		answers := make(chan error, len(channels))
		for _, c := range channels {
			if err := s.send(1, func(_ *redis.Cmd, err error) { answers <- err }, "spublish", c, "x"); err != nil {
				answers <- err
			}
		}
		for range channels {
			all = testkit.Within(t, "an answer", answers) == nil && all
		}
		return all
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(testkit.Patience); !f(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	until("nothing is sent", sent)
	servers[2].Kill()
	until("nobody has taken over", func() bool {
		role, err := replica.Do("ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
	until("it is not sent to the new master", sent)
}
