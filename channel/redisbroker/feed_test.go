package redisbroker_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/testkit"
)

// keepAll keeps more than a test publishes.
var keepAll = channel.Keep{Count: 100_000, Bytes: 64 << 20, Age: time.Hour}

// feed remembers what it is told, and finds gaps that it is not told of.
type feed struct {
	mu    sync.Mutex
	at    channel.Position
	got   map[channel.Position]string
	order []string
	lost  []channel.Saved
	wrong string
	early []func()
	begun bool
}

func follow(t testing.TB, b channel.Broker, name string) (*feed, channel.Saved) {
	t.Helper()
	f := &feed{got: make(map[channel.Position]string)}
	saved, err := b.Follow(name, keepAll, f)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.begun = channel.Position{Epoch: saved.Epoch, Offset: saved.Offset}, true
	for _, e := range f.early {
		e()
	}
	return f, saved
}

func (f *feed) call(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun {
		do()
	} else {
		f.early = append(f.early, do)
	}
}

func (f *feed) Messages(messages []*channel.Message) {
	f.call(func() {
		for _, m := range messages {
			if m.Epoch == f.at.Epoch && m.Offset <= f.at.Offset {
				continue
			}
			if (m.Epoch != f.at.Epoch || m.Offset != f.at.Offset+1) && f.wrong == "" {
				f.wrong = fmt.Sprintf("after %s came %s", f.at, m.Position())
			}
			f.take(m)
		}
	})
}

func (f *feed) take(m *channel.Message) {
	f.at = m.Position()
	f.got[f.at] = string(m.Data)
	f.order = append(f.order, string(m.Data))
}

func (f *feed) Lost(saved channel.Saved) {
	f.call(func() {
		f.lost = append(f.lost, saved)
		for _, m := range saved.Recent {
			f.got[m.Position()] = string(m.Data)
		}
		f.at = channel.Position{Epoch: saved.Epoch, Offset: saved.Offset}
	})
}

// look calls f with mu held, until it is true.
func (f *feed) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.wrong != "" {
			t.Fatal(f.wrong)
		}
		return holds()
	})
}

func (f *feed) untilAt(t testing.TB, p channel.Position) {
	t.Helper()
	f.until(t, "the feed is at "+p.String(), func() bool { return f.at.Epoch == p.Epoch && f.at.Offset >= p.Offset })
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("not within %v: %s", testkit.Patience, what)
		}
	}
}

type result struct {
	channel.Appended
	err error
}

func start(b channel.Broker, name string, m *channel.Message, keep channel.Keep) <-chan result {
	answer := make(chan result, 1)
	b.Append(name, m, keep, func(a channel.Appended, err error) { answer <- result{a, err} })
	return answer
}

func try(b channel.Broker, name string, m *channel.Message) (channel.Appended, error) {
	r := <-start(b, name, m, keepAll)
	return r.Appended, r.err
}

func put(t testing.TB, b channel.Broker, name string, m *channel.Message) *channel.Message {
	t.Helper()
	a, err := try(b, name, m)
	if err != nil {
		t.Fatal(err)
	}
	return a.Message
}

// putAll tries again, with the message's key, until it is there.
func putAll(t testing.TB, b channel.Broker, name string, m *channel.Message) *channel.Message {
	t.Helper()
	for start := time.Now(); time.Since(start) < 2*testkit.Patience; time.Sleep(10 * time.Millisecond) {
		a, err := try(b, name, m)
		if err == nil {
			return a.Message
		}
		if !errors.Is(err, channel.ErrUncertain) && a.Message != nil {
			t.Errorf("%+v with %v", a, err)
		}
	}
	t.Fatal("it cannot be published")
	return nil
}

func text(format string, args ...any) *channel.Message {
	return &channel.Message{Data: fmt.Appendf(nil, format, args...)}
}
