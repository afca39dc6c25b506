package main

import (
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/server"
)

// hangingStore saves nothing until it is let.
type hangingStore struct {
	channel.Store
	hangs, let chan struct{}
}

func (*hangingStore) Load(string, channel.Keep) (channel.Saved, error) { return channel.Saved{}, nil }

func (h *hangingStore) Save(_ string, _ *channel.Message, _ channel.Keep, done func(error)) {
	close(h.hangs)
	go func() {
		<-h.let
		done(nil)
	}()
}

func (h *hangingStore) Close() error {
	<-h.let
	return nil
}

// A disk that hangs keeps the command neither beyond its time nor from ending when asked twice.
func TestStopWhileTheDiskHangs(t *testing.T) {
	for name, test := range map[string]struct {
		asked   []os.Signal // again
		timeout time.Duration
		want    string
	}{
		"in time":     {nil, 100 * time.Millisecond, "without an end"},
		"asked twice": {[]os.Signal{syscall.SIGTERM}, time.Hour, "stopped at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := slog.New(slog.DiscardHandler)
			store := &hangingStore{hangs: make(chan struct{}), let: make(chan struct{})}
			s, err := server.New(server.Config{Dev: true, Listen: "127.0.0.1:0", Log: log, Channels: channel.Options{Store: store}})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Listen(); err != nil {
				t.Fatal(err)
			}
			served, published := make(chan error, 1), make(chan struct{})
			go func() { served <- s.Serve() }()
			go func() {
				defer close(published)
				if response, err := http.Post(s.URLs()[0]+"c/a", "text/plain", strings.NewReader("x")); err == nil {
					_ = response.Body.Close()
				}
			}()
			<-store.hangs
			signals := make(chan os.Signal, 1)
			for _, sig := range test.asked {
				signals <- sig
			}
			stopped := make(chan error, 1)
			go func() { stopped <- stop(s, log, signals, test.timeout) }()
			select {
			case err := <-stopped:
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("it ends with %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("it does not end")
			}
			close(store.let)
			<-published
			<-served
			s.Close()
		})
	}
}
