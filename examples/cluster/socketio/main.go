// Socketio is three Socket.IO servers that are one, for programs of Go: rooms, broadcasts and requests are for the clients of all of them.
// Without a flag it brings a NATS server of its own; with one the servers are joined by yours.
//
//	go run ./examples/cluster/socketio
//	go run ./examples/cluster/socketio -nats nats://localhost:4222
//	go run ./examples/cluster/socketio -redis localhost:6379
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/client"
	"baro.dev/socketio/natsadapter"
	"baro.dev/socketio/redisadapter"
)

func main() {
	natsURL := flag.String("nats", "", "URL of a NATS server")
	redisAddr := flag.String("redis", "", "address of a Redis server")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, *natsURL, *redisAddr); err != nil {
		log.Fatal(err)
	}
}

// adapter is what joins a server with others, and ends that.
type adapter struct {
	of    func(*socketio.Namespace) socketio.Adapter
	close func(context.Context)
}

func overNATS(url string) (adapter, error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return adapter{}, err
	}
	cluster, err := natsadapter.New(conn, nil)
	if err != nil {
		conn.Close()
		return adapter{}, err
	}
	return adapter{cluster.Adapter, func(ctx context.Context) {
		_ = cluster.Close(ctx)
		conn.Close()
	}}, nil
}

func overRedis(addr string) adapter {
	c := redis.NewClient(&redis.Options{Addr: addr})
	return adapter{redisadapter.NewStreams(c, nil), func(context.Context) { _ = c.Close() }}
}

// newServer has everybody in the lobby, and tells it what somebody says.
func newServer(a adapter) *socketio.Server {
	io := socketio.NewServer(&socketio.Options{Adapter: a.of})
	io.OnConnection(func(s *socketio.Socket) {
		s.Join("lobby")
		socketio.Listen(s, "say", func(_ context.Context, text string) error { return io.To("lobby").Emit("said", text) })
	})
	return io
}

func run(ctx context.Context, out io.Writer, natsURL, redisAddr string) error {
	if natsURL == "" && redisAddr == "" {
		broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
		if err != nil {
			return err
		}
		broker.Start()
		defer broker.Shutdown()
		if !broker.ReadyForConnections(10 * time.Second) {
			return fmt.Errorf("NATS does not start")
		}
		natsURL = broker.ClientURL()
	}
	var servers []*socketio.Server
	var urls []string
	for range 3 { // in life each is a process on a machine of its own
		a := overRedis(redisAddr)
		if natsURL != "" {
			var err error
			if a, err = overNATS(natsURL); err != nil {
				return err
			}
		}
		defer a.close(ctx)
		s := newServer(a)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		web := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = web.Serve(l) }()
		defer func() {
			_ = s.Close(ctx)
			_ = web.Close()
		}()
		servers, urls = append(servers, s), append(urls, "http://"+l.Addr().String())
	}
	return talk(ctx, out, servers[0], urls)
}

// talk has a client at each server. What the last one says, all hear.
func talk(ctx context.Context, out io.Writer, one *socketio.Server, urls []string) error {
	heard := make(chan string, len(urls))
	var last *client.Socket
	for i, url := range urls {
		c, err := client.New(url, nil)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		client.Listen(c, "said", func(_ context.Context, text string) error {
			heard <- fmt.Sprintf("the client of server %d hears %q", i+1, text)
			return nil
		})
		if err := c.Connect(ctx); err != nil {
			return err
		}
		last = c
	}
	// A server hears of the rooms of others moments later.
	for {
		all, err := one.In("lobby").FetchSockets(ctx)
		if err == nil && len(all) == len(urls) {
			fmt.Fprintf(out, "server 1 sees %d clients in the lobby\n", len(all))
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("server 1 sees %d clients in the lobby: %w", len(all), ctx.Err())
		}
	}
	if err := last.Emit("say", "hello from the third"); err != nil {
		return err
	}
	for range urls {
		select {
		case line := <-heard:
			fmt.Fprintln(out, line)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
