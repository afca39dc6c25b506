package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/server"
	"baro.dev/internal/testkit"
)

var transports = []client.Transport{client.WebSocket, client.EventStream, client.LongPolling, client.Polling}

// start starts a server where everybody may everything, and returns its URL.
func start(t testing.TB, change func(*server.Config)) (*server.Server, string) {
	t.Helper()
	config := server.Config{Listen: "127.0.0.1:0", Dev: true, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, strings.TrimSuffix(s.URLs()[0], "/")
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// over uses one transport, and comes back at once.
func over(all ...client.Transport) *client.Options {
	return &client.Options{
		Transports: all, Delay: time.Millisecond, DelayMax: 20 * time.Millisecond, PollInterval: 5 * time.Millisecond,
	}
}

func dial(t testing.TB, url string, o *client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(soon(t), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func subscribe(t testing.TB, c *client.Client, name string, handler func(*channel.Message), o *client.SubscribeOptions) *client.Subscription {
	t.Helper()
	s, err := c.Subscribe(name, handler, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTransports(t *testing.T) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			_, url := start(t, nil)
			c := dial(t, url, over(transport))
			if c.Transport() != transport {
				t.Errorf("it is connected by %q", c.Transport())
			}
			got := make(chan *channel.Message, 1000)
			subscribe(t, c, "a/ü?%", func(m *channel.Message) { got <- m }, &client.SubscribeOptions{After: "oldest"})
			if _, err := c.Subscribe("a/ü?%", nil, nil); !errors.Is(err, client.ErrSubscribed) {
				t.Errorf("subscribing twice: %v", err)
			}
			all := []channel.Message{
				{Data: []byte("hello")},
				{Data: []byte("line\r\nline\rline\n")},
				{Data: []byte{}},
				{Data: []byte{0, 0xff, 10, 13}, Binary: true},
				{Data: []byte("price"), Event: "price", ID: "p1", Key: "k1"},
				{Data: []byte(strings.Repeat("바로", 20_000))},
			}
			for i, m := range all {
				at, err := c.Publish(soon(t), "a/ü?%", m)
				if err != nil || at.Offset != uint64(i+1) {
					t.Fatalf("message %d: %v, %v", i, at, err)
				}
			}
			if at, err := c.Publish(soon(t), "a/ü?%", all[4]); err != nil || at.Offset != 5 {
				t.Errorf("the same key again: %v, %v", at, err)
			}
			for i, want := range all {
				m := testkit.Within(t, "a message", got)
				if m.Offset != uint64(i+1) || string(m.Data) != string(want.Data) || m.Binary != want.Binary || m.Event != want.Event || want.ID != "" && m.ID != want.ID || m.Time.IsZero() {
					t.Errorf("message %d came as %+v", i, m)
				}
			}
			h, err := c.History(soon(t), "a/ü?%", "oldest", 2)
			if err != nil || len(h.Messages) != 2 || h.Offset != 2 || !h.More {
				t.Errorf("%+v, %v", h, err)
			}
			p, err := c.Presence(soon(t), "a/ü?%", 10)
			if transport == client.WebSocket {
				if err != nil || p.Clients != 1 || len(p.Members) != 1 {
					t.Errorf("%+v, %v", p, err)
				}
			} else if !errors.Is(err, client.ErrNeedsWebSocket) {
				t.Errorf("presence: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if _, err := c.Publish(soon(t), "a", channel.Message{}); !errors.Is(err, client.ErrClosed) {
				t.Errorf("publishing after the end: %v", err)
			}
		})
	}
}

// All that a client began ends with it, whatever it was about.
func TestCloseEndsAll(t *testing.T) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			testkit.NoLeaks(t)
			_, url := start(t, nil)
			c := dial(t, url, over(transport))
			var subs []*client.Subscription
			for i := range 5 {
				subs = append(subs, subscribe(t, c, fmt.Sprint(i), func(*channel.Message) {}, nil))
			}
			subs[0].Close()
			testkit.Within(t, "the end of a subscription", subs[0].Done())
			_ = c.Close()
			for _, s := range subs {
				testkit.Within(t, "the end", s.Done())
				if !errors.Is(s.Err(), client.ErrClosed) {
					t.Error(s.Err())
				}
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		testkit.NoLeaks(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := client.Dial(ctx, "http://127.0.0.1:1", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A position that cannot be had is told, and what comes after it comes.
func TestGap(t *testing.T) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			_, url := start(t, nil)
			c := dial(t, url, over(transport))
			first, err := c.Publish(soon(t), "a", channel.Message{Data: []byte("missed")})
			if err != nil {
				t.Fatal(err)
			}
			gaps, got := make(chan [2]channel.Position, 10), make(chan *channel.Message, 10)
			subscribe(t, c, "a", func(m *channel.Message) { got <- m }, &client.SubscribeOptions{
				After: "NOSUCHEPOCH:7",
				OnGap: func(last, next channel.Position) { gaps <- [2]channel.Position{last, next} },
			})
			gap := testkit.Within(t, "the gap", gaps)
			if gap[0] != (channel.Position{Epoch: "NOSUCHEPOCH", Offset: 7}) || gap[1] != first {
				t.Errorf("the gap is %v, the channel at %v", gap, first)
			}
			if _, err := c.Publish(soon(t), "a", channel.Message{Data: []byte("next")}); err != nil {
				t.Fatal(err)
			}
			if m := testkit.Within(t, "the message", got); string(m.Data) != "next" {
				t.Errorf("%+v", m)
			}
		})
	}
}

// Who is not wanted does not try again.
func TestRefused(t *testing.T) {
	_, url := start(t, func(c *server.Config) {
		c.Dev, c.Anonymous = false, true
		pattern, err := channel.ParsePattern("open/**")
		if err != nil {
			t.Fatal(err)
		}
		r := server.Rule{Pattern: pattern}
		r.Access.Subscribe, r.Access.Publish = "anyone", "anyone"
		c.Rules = []server.Rule{r}
	})
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			var tries atomic.Int64
			o := over(transport)
			o.OnState = func(client.Transport, error) { tries.Add(1) }
			c := dial(t, url, o)
			ended := make(chan error, 1)
			s := subscribe(t, c, "secret", func(*channel.Message) {}, &client.SubscribeOptions{OnEnd: func(err error) { ended <- err }})
			refused := new(client.Error)
			if err := testkit.Within(t, "the refusal", ended); !errors.As(err, &refused) || refused.Temporary() || !errors.Is(s.Err(), err) {
				t.Errorf("subscribing: %v", err)
			}
			if _, err := c.Publish(soon(t), "secret", channel.Message{}); !errors.As(err, &refused) || refused.Temporary() {
				t.Errorf("publishing: %v", err)
			}
			if _, err := c.Publish(soon(t), "open/a", channel.Message{}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("client", func(t *testing.T) {
		_, err := client.Dial(soon(t), url, &client.Options{Token: func(context.Context) (string, error) { return "nonsense", nil }})
		if refused := new(client.Error); !errors.As(err, &refused) || refused.Code != "unauthorized" {
			t.Error(err)
		}
	})
}

// A handler may publish, and be slow, whatever comes.
func TestSlowHandler(t *testing.T) {
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			s, url := start(t, nil)
			for i := range 200 {
				if _, err := s.Hub().Publish("in", channel.Message{Data: fmt.Appendf(nil, "%d", i)}); err != nil {
					t.Fatal(err)
				}
			}
			o := over(transport)
			o.MaxBuffered = 2000 // about ten messages
			c := dial(t, url, o)
			done := make(chan struct{})
			next := 0
			subscribe(t, c, "in", func(m *channel.Message) {
				if string(m.Data) != fmt.Sprint(next) {
					t.Errorf("%s instead of %d", m.Data, next)
				}
				if _, err := c.Publish(soon(t), "out", channel.Message{Data: m.Data}); err != nil {
					t.Error(err)
				}
				if next++; next == 200 {
					close(done)
				}
			}, &client.SubscribeOptions{After: "oldest"})
			testkit.Within(t, "the last message", done)
		})
	}
}

func Example() {
	s, err := server.New(server.Config{Listen: "127.0.0.1:0", Dev: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	if err := s.Listen(); err != nil {
		panic(err)
	}
	go s.Serve()
	defer s.Close()

	ctx := context.Background()
	c, err := client.Dial(ctx, s.URLs()[0], nil)
	if err != nil {
		panic(err)
	}
	defer c.Close()
	got := make(chan string)
	_, err = c.Subscribe("news", func(m *channel.Message) { got <- string(m.Data) }, &client.SubscribeOptions{After: "oldest"})
	if err != nil {
		panic(err)
	}
	at, err := c.Publish(ctx, "news", channel.Message{Data: []byte("hello")})
	if err != nil {
		panic(err)
	}
	fmt.Println(<-got, at.Offset)
	// Output: hello 1
}
