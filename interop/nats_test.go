package interop

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/nats-io/nats.go"

	"baro.dev/engineio"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/natsadapter"
	"baro.dev/socketio/redisadapter"
)

// TestNATSCluster has official clients at four servers of ours that share rooms over NATS, and each of these do all that servers do
// for each other.
func TestNATSCluster(t *testing.T) {
	t.Parallel()
	url := "nats://" + brokers.NATS(t).Addr
	servers := map[string]string{}
	for _, name := range []string{"go1", "go2", "go3", "go4"} {
		servers[name] = natsServer(t, url, name)
	}
	checks(t, node(t, "cluster/methods.mjs", map[string]any{
		"servers": servers, "cluster": map[string]any{"kind": "nats"}, "short": os.Getenv("BARO_PROOF") == "",
	}))
}

func natsServer(t *testing.T, broker, name string) (url string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	conn, err := nats.Connect(broker, nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := natsadapter.New(conn, &natsadapter.Options{Name: name, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	io := socketio.NewServer(&socketio.Options{Adapter: cluster.Adapter, Engine: engineio.Options{Logger: quiet}})
	clusterRole(io, redisadapter.Emitter{}, name)
	h := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = io.Close(ctx)
		h.Close()
		_ = cluster.Close(ctx)
		conn.Close()
	})
	return h.URL
}
