package natsbroker_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
)

// Two hubs, as in two processes, share their channels.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Start()
	defer s.Shutdown()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var hubs []*channel.Hub
	for range 2 {
		nc, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer nc.Close()
		broker, err := natsbroker.Open(ctx, nc, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		hub := channel.NewHub(&channel.Options{Broker: broker})
		defer hub.Close()
		hubs = append(hubs, hub)
	}

	heard := make(chan *channel.Message, 1)
	sub, err := hubs[0].Subscribe("news", channel.Now(), channel.SubscriberFunc(func(m *channel.Message) { heard <- m }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sub.Close()
	if _, err := hubs[1].Publish("news", channel.Message{Data: []byte("hello")}); err != nil {
		fmt.Println(err)
		return
	}
	m := <-heard
	fmt.Println(m.Offset, string(m.Data))
	// Output: 1 hello
}
