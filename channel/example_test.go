package channel_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"baro.dev/channel"
)

func Example() {
	hub := channel.NewHub(nil)
	subscription, err := hub.Subscribe("news", channel.Now(), channel.SubscriberFunc(func(m *channel.Message) {
		fmt.Printf("%d: %s\n", m.Offset, m.Data)
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer subscription.Close()

	for _, text := range []string{"hello", "메세지"} {
		if _, err := hub.Publish("news", channel.Message{Data: []byte(text)}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 1: hello
	// 2: 메세지
}

// A reader that was away says what it saw last, and gets what it missed.
func ExampleAfter() {
	hub := channel.NewHub(&channel.Options{HistoryCount: 2})
	seen, _ := hub.Publish("news", channel.Message{Data: []byte("one")})
	hub.Publish("news", channel.Message{Data: []byte("two")})
	hub.Publish("news", channel.Message{Data: []byte("three")})

	batch, err := hub.Read("news", channel.After(seen.Position()), 0)
	for _, m := range batch.Messages {
		fmt.Printf("%s\n", m.Data)
	}
	fmt.Println(err)

	hub.Publish("news", channel.Message{Data: []byte("four")})
	_, err = hub.Read("news", channel.After(seen.Position()), 0)
	fmt.Println(errors.Is(err, channel.ErrNotRecoverable)) // "two" is gone: never a part
	// Output:
	// two
	// three
	// <nil>
	// true
}

// What a long poll does: wait for something to be there, then go on from where it ended.
func ExampleHub_Wait() {
	hub := channel.NewHub(nil)
	start, _ := hub.Read("news", channel.Now(), 0)
	go hub.Publish("news", channel.Message{Data: []byte("hello")})

	batch, err := hub.Wait(context.Background(), "news", channel.After(start.Next), 0)
	fmt.Printf("%s %v\n", batch.Messages[0].Data, err)
	// Output: hello <nil>
}

// What is made of a message for a subscriber is made once for all that need the same.
func ExampleShared() {
	type asJSON struct{} // the key: a type that nobody else has

	hub := channel.NewHub(nil)
	for range 3 {
		_, _ = hub.Subscribe("news", channel.Now(), channel.SubscriberFunc(func(m *channel.Message) {
			line := channel.Shared(m, asJSON{}, func(m *channel.Message) []byte {
				fmt.Println("encoded")
				return m.AppendJSON(nil)
			})
			_ = line // to a queue
		}))
	}
	hub.Publish("news", channel.Message{Data: []byte("hello")})
	// Output: encoded
}

// The first rule that matches holds.
func ExampleRule() {
	rooms, _ := channel.ParsePattern("rooms/*")
	states, _ := channel.ParsePattern("state/**")
	hub := channel.NewHub(&channel.Options{Rules: []channel.Rule{
		{Pattern: rooms, Settings: channel.Settings{HistoryCount: 100, HistoryAge: 24 * time.Hour, Presence: true}},
		{Pattern: states, Settings: channel.Settings{KeepLast: true}},
	}})
	settings := hub.SettingsOf("state/door")
	hub.Publish("state/door", channel.Message{Data: []byte("open")})
	hub.Publish("state/door", channel.Message{Data: []byte("closed")})

	// A newcomer gets the last message.
	hub.Subscribe("state/door", settings.Newcomer(), channel.SubscriberFunc(func(m *channel.Message) {
		fmt.Printf("%s\n", m.Data)
	}))
	// Output: closed
}

// visitor is a subscriber that is told who comes and goes.
type visitor struct{ name string }

func (v visitor) Deliver(m *channel.Message) {
	fmt.Printf("%s reads: %s\n", v.name, m.Data)
}

func (v visitor) DeliverPresence(e *channel.PresenceEvent) {
	fmt.Printf("%s sees %s: there are %d\n", v.name, e.Member.User, e.Users)
}

func ExampleHub_Join() {
	all, _ := channel.ParsePattern("**")
	hub := channel.NewHub(&channel.Options{Rules: []channel.Rule{{Pattern: all, Settings: channel.Settings{Presence: true}}}})
	ana, _ := hub.Join("room", channel.Now(), visitor{"ana"}, channel.Member{Client: "c1", User: "ana"})
	defer ana.Close()
	ben, _ := hub.Join("room", channel.Now(), visitor{"ben"}, channel.Member{Client: "c2", User: "ben"})

	// To everybody but who says it.
	hub.Publish("room", channel.Message{Data: []byte("hello"), User: "ben", Sender: "c2", Exclude: true})
	here, _ := hub.Presence("room", 0)
	fmt.Println(here.Users, "users,", here.Clients, "connections")

	// Closing waits for nobody: who is told of it, is told a moment later, but before anybody is who asks.
	ben.Close()
	here, _ = hub.Presence("room", 0)
	fmt.Println(here.Users, "user")
	// Output:
	// ana sees ben: there are 2
	// ana reads: hello
	// 2 users, 2 connections
	// ana sees ben: there are 1
	// 1 user
}

// A publisher that was not answered publishes again, with the same key.
func ExampleMessage_key() {
	hub := channel.NewHub(nil)
	order := channel.Message{Key: "order 4711", Data: []byte("paid")}
	first, _ := hub.Publish("orders", order)
	again, _ := hub.Publish("orders", order)
	fmt.Println(first.Offset, again.Offset)
	// Output: 1 1
}

func ExampleHub_PublishAll() {
	hub := channel.NewHub(nil)
	results := hub.PublishAll([]channel.Item{
		{Channel: "news", Message: channel.Message{Data: []byte("one")}},
		{Channel: "", Message: channel.Message{Data: []byte("to nobody")}},
		{Channel: "news", Message: channel.Message{Data: []byte("two")}},
	})
	for _, r := range results {
		if r.Err != nil {
			fmt.Println(r.Err)
			continue
		}
		fmt.Println(r.Message.Offset)
	}
	// Output:
	// 1
	// channel: invalid channel name: it is empty
	// 2
}
