package natsbroker_test

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
)

// connect connects as another process would.
func connect(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(10*time.Millisecond, 0),
		nats.FlusherTimeout(5*time.Second), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func open(t testing.TB, url string, o natsbroker.Options) *natsbroker.Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	b, err := natsbroker.Open(ctx, connect(t, url), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// prefixes keep the tests apart that share a server.
var prefixes atomic.Int32

// clusterOf is brokers on servers that other tests use as well.
func clusterOf(t *testing.T, replicas int, urls ...string) func(t *testing.T) brokertest.Cluster {
	return func(t *testing.T) brokertest.Cluster {
		o := natsbroker.Options{Replicas: replicas, Prefix: fmt.Sprintf("test.%d", prefixes.Add(1))}
		next := 0
		return brokertest.Cluster{
			Open: func() channel.Broker {
				next++
				return open(t, urls[next%len(urls)], o)
			},
			Empty: func() {
				js := stream(t, urls[0])
				grown(t, js, streamOf(o))
				if err := js.DeleteStream(context.Background(), streamOf(o)); err != nil {
					t.Fatal(err)
				}
			},
		}
	}
}

// grown waits while the bounds of a stream grow, which takes two round trips: nats-server 2.15 has a data race of its own between a change of a
// stream and its deletion, and within this process the race detector sees it.
func grown(t testing.TB, js jetstream.JetStream, name string) {
	t.Helper()
	for before := (jetstream.StreamConfig{}); ; time.Sleep(50 * time.Millisecond) {
		s, err := js.Stream(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		now := s.CachedInfo().Config
		if reflect.DeepEqual(before, now) {
			return
		}
		before = now
	}
}

func stream(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(connect(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func streamOf(o natsbroker.Options) string {
	return strings.ToUpper(strings.ReplaceAll(cmp.Or(o.Prefix, "baro"), ".", "_")) + "_CHANNELS"
}

func TestConformance(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { brokertest.Run(t, clusterOf(t, 1, embedded.NATS(t, 1)[0].URL)) })
	t.Run("Debian's", func(t *testing.T) { brokertest.Run(t, clusterOf(t, 1, "nats://"+brokers.NATS(t).Addr)) })
	t.Run("three servers", func(t *testing.T) {
		servers := embedded.NATS(t, 3)
		brokertest.Run(t, clusterOf(t, 3, servers[0].URL, servers[1].URL, servers[2].URL))
	})
}
