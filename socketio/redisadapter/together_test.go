package redisadapter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio/redisadapter"
)

// What many goroutines emit at the same time arrives once, what each has emitted in its order; and each is told what became of its own.
func TestEmitTogether(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer client.Close()
	const goroutines, each = 32, 100
	heard := client.Subscribe(t.Context(), "socket.io#/#room#")
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	messages := heard.Channel(redis.WithChannelSize(goroutines * each))
	room := redisadapter.NewEmitter(client, nil).To("room")
	var emitting sync.WaitGroup
	for g := range goroutines {
		emitting.Go(func() {
			for i := range each {
				if err := room.Emit(t.Context(), "e", fmt.Sprintf("<%d %d>", g, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	emitting.Wait()
	var next [goroutines]int
	for range goroutines * each {
		var g, i int
		m := <-messages
		_, at, _ := strings.Cut(m.Payload, "<")
		if _, err := fmt.Sscanf(at, "%d %d>", &g, &i); err != nil || next[g] != i {
			t.Fatalf("%q, want number %d: %v", m.Payload, next[g], err)
		}
		next[g]++
	}

	s.Pause() // it does not answer
	late, cancel := context.WithCancel(t.Context())
	failed := make(chan error, goroutines)
	for range goroutines {
		go func() { failed <- room.Emit(late, "e") }()
	}
	cancel()
	canceled := 0
	for range goroutines {
		err := <-failed
		if err == nil {
			t.Error("emitted, where Redis does not answer")
		}
		if errors.Is(err, context.Canceled) { // go-redis looks at its own timeouts while it reads
			canceled++
		}
	}
	if canceled < goroutines/2 {
		t.Errorf("%d of %d have waited no longer than they were to", canceled, goroutines)
	}
	s.Continue()
	s.Kill()
	for range goroutines {
		go func() { failed <- room.Emit(t.Context(), "e") }()
	}
	for range goroutines {
		select {
		case err := <-failed:
			if err == nil {
				t.Error("emitted, without Redis")
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody is told that Redis is away")
		}
	}
}
