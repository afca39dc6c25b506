package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// command is a frame of the client.
type command struct {
	ID          int
	Subscribe   *struct{ Channel, After string }
	Unsubscribe *struct{ Channel string }
}

func message(name string, offset int) string {
	return fmt.Sprintf(`{"message":{"channel":%q,"data":"%d","offset":%d,"epoch":"e"}}`, name, offset, offset)
}

// Who ends a subscription and begins it again gets all from where he wants, though messages of the first one are still on their way.
func TestSubscribeAgain(t *testing.T) {
	testkit.NoLeaks(t)
	url := fake(t, func(ctx context.Context, _ int64, _ *http.Request, c *ws.Conn) {
		say(ctx, c, connected)
		for times := 0; ; {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			var f command
			if err := json.Unmarshal(m.Data, &f); err != nil {
				t.Error(err)
			}
			if f.Subscribe == nil {
				continue
			}
			if times++; times == 2 {
				say(ctx, c, message("a", 14), `{"join":{"channel":"a","client":"late"}}`)
			}
			say(ctx, c, fmt.Sprintf(`{"id":%d,"ok":{"epoch":"e","offset":14}}`, f.ID))
			for i := 11; times == 2 && i <= 15; i++ {
				say(ctx, c, message("a", i))
			}
		}
	})
	c := dial(t, url, over(client.WebSocket))
	started := make(chan channel.Position, 1)
	first := subscribe(t, c, "a", func(*channel.Message) {}, &client.SubscribeOptions{OnStart: func(p channel.Position) { started <- p }})
	testkit.Within(t, "the first subscription", started)
	first.Close()
	got := make(chan uint64, 10)
	subscribe(t, c, "a", func(m *channel.Message) { got <- m.Offset }, &client.SubscribeOptions{
		After:      "e:10",
		OnPresence: func(e client.PresenceEvent) { t.Errorf("who came before: %+v", e) },
	})
	for want := uint64(11); want <= 15; want++ {
		if o := testkit.Within(t, "a message", got); o != want {
			t.Fatalf("message %d in place of %d", o, want)
		}
	}
}

// A subscription that ends while it waits for room is not begun.
func TestUnsubscribeWhileFull(t *testing.T) {
	testkit.NoLeaks(t)
	var mu sync.Mutex
	var said []string
	url := fake(t, func(ctx context.Context, _ int64, _ *http.Request, c *ws.Conn) {
		say(ctx, c, connected)
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			said = append(said, string(m.Data))
			mu.Unlock()
			var f command
			if err := json.Unmarshal(m.Data, &f); err != nil {
				t.Error(err)
			}
			if f.ID != 0 {
				say(ctx, c, fmt.Sprintf(`{"id":%d,"ok":{"epoch":"e","offset":0}}`, f.ID))
			}
			if f.Subscribe != nil && f.Subscribe.Channel == "a" {
				say(ctx, c, strings.Replace(message("a", 1), `"data":"`, `"data":"`+strings.Repeat("x", 900), 1))
			}
		}
	})
	o := over(client.WebSocket)
	o.MaxBuffered = 1000
	c := dial(t, url, o)
	handling, release := make(chan struct{}), make(chan struct{})
	subscribe(t, c, "a", func(*channel.Message) { close(handling); <-release }, nil)
	testkit.Within(t, "the message", handling)
	subscribe(t, c, "b", func(*channel.Message) {}, nil).Close()
	close(release)
	started := make(chan channel.Position, 1)
	subscribe(t, c, "c", func(*channel.Message) {}, &client.SubscribeOptions{OnStart: func(p channel.Position) { started <- p }})
	testkit.Within(t, "another subscription", started)
	for range 3 {
		if err := c.RPC(soon(t), "x", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, s := range said {
		if strings.Contains(s, `{"subscribe":{"channel":"b"`) || strings.Contains(s, `"subscribe":{"channel":"b"`) && !strings.Contains(s, "unsubscribe") {
			t.Errorf("subscribed after it has ended: %s", s)
		}
	}
}

// The connection ends before the answer: that can be told from a refusal.
func TestLost(t *testing.T) {
	url := fake(t, func(ctx context.Context, _ int64, _ *http.Request, c *ws.Conn) {
		say(ctx, c, connected)
		_, _ = c.Read(ctx)
		_ = c.CloseNow()
	})
	c := dial(t, url, over(client.WebSocket))
	defer c.Close()
	if _, err := c.Presence(soon(t), "a", 10); !errors.Is(err, client.ErrLost) {
		t.Errorf("%v", err)
	}
}
