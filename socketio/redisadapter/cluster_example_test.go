package redisadapter_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// Each room has a channel of its own in Redis: servers that have nobody in it hear nothing of it.
func ExampleNewSharded() {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"localhost:7000", "localhost:7001", "localhost:7002"}})
	defer client.Close() // after the server

	io := socketio.NewServer(&socketio.Options{Adapter: redisadapter.NewSharded(client, &redisadapter.ShardedOptions{
		SubscriptionMode: redisadapter.DynamicPrivate, // much is emitted to single sockets
	})})
	defer io.Close(context.Background())
	io.OnConnection(func(s *socketio.Socket) {
		s.Join("news")
	})
	// http.ListenAndServe(":3000", io)
	fmt.Printf("%T\n", io.Adapter()) // which has Err and Stats
	// Output: *redisadapter.ShardedAdapter
}

// Clients that were cut find their socket, its rooms and what they have missed on whatever server they come back to, one of Node as
// well.
func ExampleNewStreams() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close() // after the server

	io := socketio.NewServer(&socketio.Options{
		Adapter:                 redisadapter.NewStreams(client, nil),
		ConnectionStateRecovery: &socketio.ConnectionStateRecovery{},
	})
	defer io.Close(context.Background())
	io.OnConnection(func(s *socketio.Socket) {
		if !s.Recovered() { // or it is in its rooms already
			s.Join("news")
		}
	})
	// http.ListenAndServe(":3000", io)
	fmt.Printf("%T\n", io.Adapter()) // which has Err and Stats
	// Output: *redisadapter.StreamsAdapter
}
