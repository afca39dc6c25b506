package channels_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/auth"
	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/server"
)

// start starts a server where everybody may everything, unless change says something else.
func start(t *testing.T, change func(*server.Config)) (*server.Server, *target.Target) {
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
	return s, to(t, strings.TrimSuffix(s.URLs()[0], "/"))
}

func to(t *testing.T, url string) *target.Target {
	t.Helper()
	at, err := (&target.Options{Proxy: "none"}).Target(url)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// withKeys has backends need a key, and gives one.
func withKeys(t *testing.T, scopes []auth.Scope, patterns ...string) (key string, change func(*server.Config)) {
	t.Helper()
	text, entry, err := auth.NewKey("shop", scopes, patterns)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys([]auth.APIKey{entry})
	if err != nil {
		t.Fatal(err)
	}
	return text, func(c *server.Config) { c.Keys, c.Dev, c.Anonymous = keys, false, true }
}

func api(t *testing.T, at *target.Target, key string) *channels.API {
	t.Helper()
	a := channels.NewAPI(at, key)
	t.Cleanup(a.Close)
	return a
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// log is what was printed; it may be written to by any goroutine.
type log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // has one for each write, up to its room
}

func newLog() *log { return &log{wrote: make(chan struct{}, 1000)} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// subscriber prints into a log, and notes into another.
func subscriber(names ...string) (s *channels.Subscriber, out, notes *log) {
	out, notes = newLog(), newLog()
	p := &channels.Printer{Out: out, Names: len(names) > 1}
	return &channels.Subscriber{
		Channels: names, Stay: true, Write: p.Message, WritePresence: p.Presence, WriteGap: p.Gap, Out: out, Errors: notes,
		Note: func(format string, args ...any) { fmt.Fprintf(notes, format+"\n", args...) },
	}, out, notes
}

// quick comes back at once.
func quick(at *target.Target) *client.Options {
	o := channels.ClientOptions(at, nil)
	o.Delay, o.DelayMax = time.Millisecond, 20*time.Millisecond
	return o
}

func publish(t *testing.T, s *server.Server, name string, texts ...string) (last channel.Position) {
	t.Helper()
	for _, text := range texts {
		m, err := s.Hub().Publish(name, channel.Message{Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		last = m.Position()
	}
	return last
}

func kept(t *testing.T, s *server.Server, name string) (texts []string) {
	t.Helper()
	got, err := s.Hub().Read(name, channel.Oldest(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range got.Messages {
		texts = append(texts, string(m.Data))
	}
	return texts
}
