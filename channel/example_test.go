package channel_test

import (
	"context"
	"errors"
	"fmt"

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
