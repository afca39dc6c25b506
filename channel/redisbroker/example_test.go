package redisbroker_test

import (
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/channel/redisbroker"
)

// Each process has a hub on a broker of its own; what one publishes all of them have.
func Example() { //nolint:testableexamples // it needs Redis
	broker, err := redisbroker.Open(&redis.UniversalOptions{Addrs: []string{"localhost:6379"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	hub := channel.NewHub(&channel.Options{Broker: broker})
	defer hub.Close()

	sub, err := hub.Subscribe("news", channel.Now(), channel.SubscriberFunc(func(m *channel.Message) {
		fmt.Printf("%s\n", m.Data)
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer sub.Close()
	if _, err := hub.Publish("news", channel.Message{Data: []byte("hello, all of you"), Key: "first"}); err != nil {
		log.Print(err)
	}
}

// A master and its replicas, which Sentinels watch over: a message is acknowledged when a replica has it, too.
func Example_sentinel() { //nolint:testableexamples // it needs Redis
	broker, err := redisbroker.Open(&redis.UniversalOptions{
		Addrs:      []string{"sentinel-1:26379", "sentinel-2:26379", "sentinel-3:26379"},
		MasterName: "main",
	}, &redisbroker.Options{Replicas: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()
}

// A cluster, and metrics of how long it takes.
func Example_cluster() { //nolint:testableexamples // it needs Redis
	broker, err := redisbroker.Open(&redis.UniversalOptions{
		Addrs: []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"},
	}, &redisbroker.Options{Observe: func(o redisbroker.Observation) {
		if o.Took > time.Second {
			log.Printf("%s of %d took %v: %v", o.Op, o.Count, o.Took, o.Err)
		}
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()
}
