package redislink

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
)

// A server that has lost its slots refuses each of many channels: that takes no longer than there are channels.
func TestManyRefused(t *testing.T) {
	client := NewClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}, IsClusterMode: true})
	defer client.Close()
	s := NewSubscriber(SubscriberOptions{Client: client, Sharded: true})
	defer s.Close()
	const channels = 60_000
	l := newLink(s, "127.0.0.1:1", nil)
	s.mu.Lock()
	s.links[l.key] = l
	for i := range channels {
		e := &sub{name: fmt.Sprint(i), handler: nobody{}, link: l, sent: true}
		s.subs[e.name], l.subs[e.name] = e, e
	}
	s.mu.Unlock()
	began := time.Now()
	for range channels {
		if l.astray(); time.Since(began) > testkit.Patience {
			t.Fatalf("more than %v", testkit.Patience)
		}
	}
	for _, e := range s.astray() {
		if s.mu.Lock(); e.sent {
			t.Error("it is not tried again")
		}
		s.mu.Unlock()
	}
}

type nobody struct{}

func (nobody) Ready()         {}
func (nobody) Message([]byte) {}
