//go:build linux

package peers

import (
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/socketio/natsadapter"
	"baro.dev/socketio/redisadapter"
)

// adapter makes the adapter of a server's main namespace.
type adapter func(broker string) (func(*socketio.Namespace) socketio.Adapter, error)

// baroCluster is this project's Socket.IO server, one of several that a broker joins.
func baroCluster(join adapter) func(net.Listener, Options) error {
	return func(l net.Listener, o Options) error {
		a, err := join(o.Broker)
		if err != nil {
			return err
		}
		return serveSocketIO(l, o, &socketio.Options{Adapter: a, Engine: engineio.Options{PingInterval: o.Heartbeat}})
	}
}

func redisClient(broker string) redis.UniversalClient {
	return redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(broker, "redis://")})
}

func classic(broker string) (func(*socketio.Namespace) socketio.Adapter, error) {
	return redisadapter.New(redisClient(broker), nil), nil
}

func sharded(broker string) (func(*socketio.Namespace) socketio.Adapter, error) {
	return redisadapter.NewSharded(redisClient(broker), nil), nil
}

func streams(broker string) (func(*socketio.Namespace) socketio.Adapter, error) {
	return redisadapter.NewStreams(redisClient(broker), nil), nil
}

func overNATS(broker string) (func(*socketio.Namespace) socketio.Adapter, error) {
	conn, err := nats.Connect(broker)
	if err != nil {
		return nil, err
	}
	cluster, err := natsadapter.New(conn, nil)
	if err != nil {
		return nil, err
	}
	return cluster.Adapter, nil
}
