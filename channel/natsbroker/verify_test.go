package natsbroker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers/embedded"
)

// handed is a feed that hands on what it is handed.
type handed chan *channel.Message

func (h handed) Messages(messages []*channel.Message) {
	for _, m := range messages {
		h <- m
	}
}

func (h handed) Lost(channel.Saved) { close(h) }

// What was lost between servers, without a trace, is found by comparing.
func TestVerify(t *testing.T) {
	nc, err := nats.Connect(embedded.NATS(t, 1)[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	b, err := Open(ctx, nc, &Options{VerifyEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	keep := channel.Keep{Count: 100, Bytes: 1 << 20, Age: time.Hour}
	heard := make(handed, 10)
	if _, err := b.Follow("c", keep, heard); err != nil {
		t.Fatal(err)
	}
	topic := b.topic("c")
	if err := topic.follow.sub.Unsubscribe(); err != nil { // as if nothing came through
		t.Fatal(err)
	}
	for i := range 3 {
		done := make(chan error, 1)
		b.Append("c", &channel.Message{Data: []byte(fmt.Sprint(i))}, keep, func(_ channel.Appended, err error) { done <- err })
		if err := testkit.Within(t, "an answer", done); err != nil {
			t.Fatal(err)
		}
		if m := testkit.Within(t, "the message", heard); m == nil || string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("%+v", m)
		}
	}
	if b.Stats().Gaps == 0 {
		t.Error("no gap was counted")
	}
}

// Topics that nobody uses are forgotten beyond their number, and appended to nevertheless.
func TestTopics(t *testing.T) {
	nc, err := nats.Connect(embedded.NATS(t, 1)[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	b, err := Open(ctx, nc, &Options{MaxTopics: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for round := range 3 {
		done := make(chan error, 100)
		for i := range 100 {
			b.Append(fmt.Sprint(i), &channel.Message{}, channel.Keep{Count: 5, Age: time.Hour}, func(a channel.Appended, err error) {
				if err == nil && a.Message.Offset != uint64(round+1) {
					err = fmt.Errorf("it is at %s", a.Message.Position())
				}
				done <- err
			})
		}
		for range 100 {
			if err := testkit.Within(t, "an answer", done); err != nil {
				t.Fatal(err)
			}
		}
	}
	for start := time.Now(); b.Stats().Topics > 10; time.Sleep(time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("%d topics are known", b.Stats().Topics)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flights != 0 || b.waiting != 0 || b.entries != 0 {
		t.Errorf("%d flights, %d bytes and %d entries are left", b.flights, b.waiting, b.entries)
	}
}
