package redisbroker_test

import (
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// logger writes to the test.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// open makes a broker that is closed at the end of the test.
func open(t testing.TB, r *redis.UniversalOptions, o redisbroker.Options) *redisbroker.Broker {
	t.Helper()
	if o.Logger == nil {
		o.Logger = logger(t)
	}
	b, err := redisbroker.Open(r, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func single(s *brokers.Server) *redis.UniversalOptions {
	return &redis.UniversalOptions{Addrs: []string{s.Addr}}
}

// prefix is one of the test's own.
func prefix(t testing.TB) string {
	return strings.NewReplacer(" ", "_", "{", "", "}", "").Replace(t.Name()) + ":"
}

func TestConformance(t *testing.T) {
	s := brokers.Redis(t)
	brokertest.Run(t, func(t *testing.T) brokertest.Cluster {
		return brokertest.Cluster{
			Open:  func() channel.Broker { return open(t, single(s), redisbroker.Options{Prefix: prefix(t)}) },
			Empty: s.RestartEmpty,
		}
	})
}

func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	servers := brokers.RedisCluster(t, 3)
	brokertest.Run(t, func(t *testing.T) brokertest.Cluster {
		return brokertest.Cluster{
			Open: func() channel.Broker { return open(t, nodes(servers), redisbroker.Options{Prefix: prefix(t)}) },
		}
	})
	t.Run("unsharded", func(t *testing.T) {
		a := open(t, nodes(servers), redisbroker.Options{Prefix: prefix(t), Unsharded: true})
		b := open(t, nodes(servers[1:]), redisbroker.Options{Prefix: prefix(t), Unsharded: true})
		for i := range 10 {
			name := string(rune('a' + i))
			f, _ := follow(t, a, name)
			f.untilAt(t, put(t, b, name, text("x")).Position())
		}
	})
}

// Over TLS, with a name and a password: both kinds of connections.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key, roots := testkit.Certificate(t)
	port := testkit.FreePort(t)
	s := brokers.Redis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
	if _, err := s.Do("ACL", "SETUSER", "baro", "on", ">secret", "~baro:*", "&baro:*", "+@all"); err != nil {
		t.Fatal(err)
	}
	b := open(t, &redis.UniversalOptions{
		Addrs: []string{"127.0.0.1:" + port}, TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"},
		Username: "baro", Password: "secret", ClientName: "baro",
	}, redisbroker.Options{})
	f, _ := follow(t, b, "a")
	f.untilAt(t, put(t, b, "a", text("x")).Position())
}
