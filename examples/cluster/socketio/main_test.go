package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers"
)

func TestCluster(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) (nats, redis string){
		"NATS inside": func(*testing.T) (string, string) { return "", "" },
		"NATS":        func(t *testing.T) (string, string) { return "nats://" + brokers.NATS(t).Addr, "" },
		"Redis":       func(t *testing.T) (string, string) { return "", brokers.Redis(t).Addr },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			nats, redis := start(t)
			var out bytes.Buffer
			if err := run(ctx, &out, nats, redis); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if n := strings.Count(out.String(), `hears "hello from the third"`); n != 3 {
				t.Errorf("%d clients heard:\n%s", n, &out)
			}
		})
	}
}
