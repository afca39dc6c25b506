package natsadapter_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"baro.dev/socketio"
	"baro.dev/socketio/natsadapter"
)

// broker starts one, so that the examples run.
func broker() (url string, stop func()) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		log.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		log.Fatal("no broker")
	}
	return s.ClientURL(), s.Shutdown
}

func Example() {
	url, stop := broker()
	defer stop()
	ctx := context.Background()
	serve := func() (*socketio.Server, func()) {
		conn, err := nats.Connect(url, nats.MaxReconnects(-1))
		if err != nil {
			log.Fatal(err)
		}
		cluster, err := natsadapter.New(conn, nil)
		if err != nil {
			log.Fatal(err)
		}
		io := socketio.NewServer(&socketio.Options{Adapter: cluster.Adapter})
		return io, func() { // the server, then the cluster, then the connection
			_ = io.Close(ctx)
			_ = cluster.Close(ctx)
			conn.Close()
		}
	}
	a, closeA := serve()
	defer closeA()
	b, closeB := serve() // in life on another machine
	defer closeB()

	heard := make(chan string)
	b.OnServerSide("hello", func(args socketio.Args, _ func(any)) {
		var name string
		_ = args.Bind(&name)
		heard <- name
	})
	for n := 0; n < 2; n, _ = a.Adapter().ServerCount(ctx) {
		time.Sleep(time.Millisecond)
	}
	_ = a.To("lobby").Emit("news", "for the lobby, on all servers")
	_ = a.ServerSideEmit("hello", "a")
	fmt.Println(<-heard)
	// Output: a
}

// A handler that tells a client about its room in another way than by an event of the cluster waits until all servers know.
func ExampleCluster_Flush() {
	url, stop := broker()
	defer stop()
	conn, err := nats.Connect(url)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	cluster, err := natsadapter.New(conn, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close(context.Background())
	io := socketio.NewServer(&socketio.Options{Adapter: cluster.Adapter})
	socketio.On(io, "join", func(ctx context.Context, room string) (string, error) {
		socketio.SocketOf(ctx).Join(room)
		return "from now on you miss nothing", cluster.Flush(ctx)
	})
	// Output:
}
