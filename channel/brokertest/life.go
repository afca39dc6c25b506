package brokertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"baro.dev/channel"
)

// What is there outlives those who put it there.
func testReopen(t *testing.T, c Cluster) {
	a := c.Open()
	first := put(t, a, "a", &channel.Message{Key: "k", Data: []byte("one")}, all)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	b := c.Open()
	feed, saved := follow(t, b, "a", all)
	if saved.Epoch != first.Message.Epoch || saved.Offset != 1 || len(saved.Recent) != 1 {
		t.Errorf("%+v after %+v", saved, first.Message)
	}
	if again := put(t, b, "a", &channel.Message{Key: "k"}, all); !again.Duplicate || again.Message.Position() != first.Message.Position() {
		t.Errorf("%+v after %+v", again, first.Message)
	}
	second := put(t, b, "a", text("two"), all)
	if second.Message.Epoch != saved.Epoch || second.Message.Offset != 2 {
		t.Errorf("%+v after %+v", second.Message, first.Message)
	}
	feed.untilAt(t, second.Message.Position())
}

// Close answers all who wait, and what was answered without an error is there.
func testClose(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	var answers []<-chan result
	for i := range 200 {
		answers = append(answers, start(a, "a", text("%d", i), all))
	}
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	saved, err := b.Load("a", all)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]uint64{}
	for _, m := range saved.Recent {
		there[string(m.Data)] = m.Offset
	}
	for i, answer := range answers {
		switch r := wait(t, answer); {
		case r.err == nil && there[fmt.Sprint(i)] != r.Message.Offset:
			t.Errorf("message %d was said to be at %s, and is at %d", i, r.Message.Position(), there[fmt.Sprint(i)])
		case r.err != nil && there[fmt.Sprint(i)] != 0 && !errors.Is(r.err, channel.ErrUncertain):
			t.Errorf("message %d is there, in spite of: %v", i, r.err)
		}
	}
	if r := wait(t, start(a, "a", text("late"), all)); r.err == nil {
		t.Error("a broker that is closed took a message")
	}
	if _, err := a.Follow("a", all, &recorder{changed: make(chan struct{})}); err == nil {
		t.Error("a broker that is closed follows a channel")
	}
	_ = a.Close() // again
}

// Where all is lost those who follow are told before they are fed anything of the channel's new life.
func testLost(t *testing.T, c Cluster) {
	if c.Empty == nil {
		t.Skip("it cannot lose everything")
	}
	a, b := c.Open(), c.Open()
	feed, saved := follow(t, b, "a", all)
	feed.untilAt(t, put(t, a, "a", text("one"), all).Message.Position())
	c.Empty()
	var next channel.Position
	for late := time.Now().Add(patience); ; {
		r := wait(t, start(a, "a", text("anew"), all))
		if r.err == nil {
			next = r.Message.Position()
			break
		}
		if time.Now().After(late) {
			t.Fatal(r.err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if next.Epoch == saved.Epoch {
		t.Fatalf("it was at %s:1 and goes on at %s", saved.Epoch, next)
	}
	feed.untilAt(t, next)
	feed.mu.Lock()
	lost := len(feed.lost)
	feed.mu.Unlock()
	if lost == 0 {
		t.Error("nobody was told that something was lost")
	}
	feed.untilAt(t, put(t, a, "a", text("more"), all).Message.Position())
}
