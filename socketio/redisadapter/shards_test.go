package redisadapter

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// A channel that is to be heard on a connection which breaks at that moment is heard on the next one.
func TestSubscribeAsItBreaks(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: brokers.Redis(t).Addr})
	defer client.Close()
	s := newShards(client, false, slog.New(slog.DiscardHandler), func(string, string) {})
	defer s.close()
	is := func(channel string) {
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
	s.want("a")
	is("a")
	n, err := s.node("b")
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.listener(n)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.wanted["b"] = true
	s.mu.Unlock()
	s.lost(l, errSilence)
	if err := s.subscribeOn(l, []string{"b"}); err == nil {
		t.Fatal("a connection that is closed subscribes")
	}
	s.want("b")
	is("a")
	is("b")
}
