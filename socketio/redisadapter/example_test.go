package redisadapter_test

import (
	"context"
	"net/http"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// Servers that share a Redis are one cluster: a room has members on all of them, servers of Node that use
// @socket.io/redis-adapter among them.
func ExampleNew() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close() // after the server

	io := socketio.NewServer(&socketio.Options{Adapter: redisadapter.New(client, nil)})
	defer io.Close(context.Background())
	io.OnConnection(func(s *socketio.Socket) {
		s.Join("news")
	})

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.HandleFunc("POST /news", func(http.ResponseWriter, *http.Request) {
		_ = io.To("news").Emit("news", "for the clients of all servers")
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := io.Adapter().(*redisadapter.Adapter).Err(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	_ = &http.Server{Addr: ":3000", Handler: mux} // ListenAndServe

	// Output:
}

// A program that serves nobody can emit.
func ExampleEmitter() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", MaxRetries: -1})
	defer client.Close()

	emitter := redisadapter.NewEmitter(client, nil)
	finished := func(ctx context.Context, job string) error {
		return emitter.To("news").Except("guests").Emit(ctx, "finished", job)
	}
	banned := func(ctx context.Context, user string) error {
		return emitter.Of("/admin").In(user).DisconnectSockets(ctx, true)
	}
	_, _ = finished, banned
	// Output:
}
