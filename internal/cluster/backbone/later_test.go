package backbone

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/internal/testkit"
)

// opening is a broker that comes, or not.
type opening struct{ channel.Broker }

func (opening) Err() error { return nil }

// Who publishes is told, also where the server ends before there was a broker.
func TestAppendWhileClosed(t *testing.T) {
	for range 200 {
		l := openLater(slog.New(slog.DiscardHandler), func(context.Context) (opening, error) { return opening{}, errors.New("it is away") })
		done := make(chan error, 2)
		tell := func(_ channel.Appended, err error) { done <- err }
		l.Append("c", &channel.Message{}, channel.Keep{}, tell)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l.Append("c", &channel.Message{}, channel.Keep{}, tell)
		for range 2 {
			if err := testkit.Within(t, "an answer", done); !errors.Is(err, ErrNotYet) {
				t.Fatal(err)
			}
		}
	}
}

// Those who come while the broker does are told in their order.
func TestAppendInOrder(t *testing.T) {
	come := make(chan struct{})
	l := openLater(slog.New(slog.DiscardHandler), func(ctx context.Context) (opening, error) {
		select {
		case <-come:
			return opening{brokertest.NewLog().Open()}, nil
		case <-ctx.Done():
			return opening{}, ctx.Err()
		}
	})
	defer l.Close()
	const n = 2000
	told := make(chan int, n)
	for i := range n {
		if i == n/2 {
			close(come)
		}
		l.Append("c", &channel.Message{Data: []byte("x")}, channel.Keep{Count: 1}, func(channel.Appended, error) { told <- i })
	}
	for i := range n {
		if got := testkit.Within(t, "an answer", told); got != i {
			t.Fatalf("the answer to %d came, and that to %d has not", got, i)
		}
	}
}

// Who reads while the broker is opened for the first time waits for that; when it could not be, nobody waits any more.
func TestReadAsItOpens(t *testing.T) {
	for _, fails := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := openLater(slog.New(slog.DiscardHandler), func(ctx context.Context) (opening, error) {
				time.Sleep(openFirst / 2)
				if fails {
					return opening{}, errors.New("it is away")
				}
				return opening{brokertest.NewLog().Open()}, nil
			})
			defer l.Close()
			began := time.Now()
			for first := range 2 {
				for name, ask := range map[string]func() error{
					"load":   func() error { _, err := l.Load("a", channel.Keep{}); return err },
					"read":   func() error { _, err := l.Read("a", "epoch", 0, 1); return err },
					"follow": func() error { _, err := l.Follow("a", channel.Keep{}, nil); l.Unfollow("a"); return err },
				} {
					if err := ask(); errors.Is(err, ErrNotYet) != fails {
						t.Errorf("%s: %v", name, err)
					}
				}
				if took := time.Since(began); took != openFirst/2 {
					t.Errorf("%d: it took %v", first, took)
				}
			}
		})
	}
}
