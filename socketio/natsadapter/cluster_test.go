package natsadapter_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/socketio"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// dial connects to a broker, for as long as the test.
func dial(t testing.TB, url string, o ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := nats.Connect(url, append([]nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// cluster joins one.
func cluster(t testing.TB, conn *nats.Conn, o *natsadapter.Options) *natsadapter.Cluster {
	t.Helper()
	set := natsadapter.Options{}
	if o != nil {
		set = *o
	}
	if set.Logger == nil {
		set.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := natsadapter.New(conn, &set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), adaptertest.Patience)
		defer cancel()
		if err := c.Close(ctx); err != nil && !conn.IsClosed() && conn.IsConnected() {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func node(t testing.TB, url string) adaptertest.Node {
	c := cluster(t, dial(t, url), nil)
	return adaptertest.Node{Adapter: c.Adapter, Settle: func() {
		ctx, cancel := context.WithTimeout(context.Background(), adaptertest.Patience)
		defer cancel()
		if err := c.Flush(ctx); err != nil {
			t.Error(err)
		}
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		url := embedded.NATS(t, 1)[0].URL
		adaptertest.Run(t, func(t testing.TB) adaptertest.Node { return node(t, url) })
	})
	t.Run("three brokers", func(t *testing.T) {
		servers := embedded.NATS(t, 3)
		next := 0
		adaptertest.Run(t, func(t testing.TB) adaptertest.Node {
			next++
			return node(t, servers[next-1].URL)
		})
	})
	t.Run("Debian", func(t *testing.T) {
		url := "nats://" + brokers.NATS(t).Addr
		adaptertest.Run(t, func(t testing.TB) adaptertest.Node { return node(t, url) })
	})
}

var _ = socketio.NewServer
