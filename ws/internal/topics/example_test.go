package topics_test

import (
	"fmt"
	"slices"

	"baro.dev/ws/internal/topics"
)

type conn struct {
	name   string
	topics *topics.Set[*conn] // nil until it subscribes
}

func (c *conn) send(message string) { fmt.Println(c.name, "receives", message) }

func Example() {
	registry := topics.New(func(c *conn) **topics.Set[*conn] { return &c.topics })
	a, b := &conn{name: "a"}, &conn{name: "b"}
	registry.Subscribe(a, "news")
	registry.Subscribe(b, "news")
	registry.Subscribe(b, "weather")

	for c := range registry.All("weather") {
		c.send("rain")
	}
	fmt.Println("b has", slices.Sorted(registry.Topics(b)))

	registry.Leave(b)
	for c := range registry.All("news") {
		c.send("headlines")
	}
	fmt.Println(registry.Len(), "topic is left")
	// Output:
	// b receives rain
	// b has [news weather]
	// a receives headlines
	// 1 topic is left
}
