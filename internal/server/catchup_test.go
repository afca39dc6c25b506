package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/ws"
)

// messages is a Log that counts how often something is said.
type messages struct {
	slog.Handler
	text string
	said *atomic.Int32
}

func (h messages) Enabled(context.Context, slog.Level) bool { return true }

func (h messages) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.text {
		h.said.Add(1)
	}
	return nil
}

// behind starts a server and dials a socket that has more to catch up with than the kernel takes, and has begun to.
func behind(t *testing.T, config Config, subprotocols ...string) (*Server, *ws.Conn) {
	t.Helper()
	config.Channels = channel.Options{HistoryBytes: 64 << 20}
	s := start(t, config)
	data := bytes.Repeat([]byte{'x'}, 256<<10)
	for range 160 {
		if _, err := s.Hub().Publish("a", channel.Message{Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	c := dialSocket(t, s, "/c/a?after=oldest", &ws.DialOptions{
		Subprotocols: subprotocols,
		Limits:       ws.Limits{MaxMessageSize: 1 << 20},
	})
	readSocket(t, c)
	return s, c
}

func readToEnd(t *testing.T, c *ws.Conn) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, err := c.Read(ctx); err != nil {
			return err
		}
	}
}

// What is lost while a client catches up is said like what was lost before.
func TestSocketLosesWhileCatchingUp(t *testing.T) {
	lose := func(s *Server) { publishText(t, s, "a", strings.Split(strings.Repeat("y", 1000), "")...) }

	s, c := behind(t, Config{}, subprotocolJSON)
	lose(s)
	var reset struct {
		Event  string
		Offset uint64
	}
	for reset.Event != "baro.reset" {
		if err := json.Unmarshal(readSocket(t, c).Data, &reset); err != nil {
			t.Fatal(err)
		}
	}
	publishText(t, s, "a", "z")
	for at, m := reset.Offset, (channel.Message{}); string(m.Data) != "z"; at++ {
		if err := json.Unmarshal(readSocket(t, c).Data, &m); err != nil {
			t.Fatal(err)
		}
		if m.Offset != at+1 || m.Event != "" {
			t.Fatalf("after %d comes %d, %q", at, m.Offset, m.Event)
		}
	}

	s, c = behind(t, Config{})
	lose(s)
	if err := readToEnd(t, c); ws.CloseStatus(err) != statusNotRecoverable {
		t.Errorf("a plain one ended with %v", err)
	}
}

// A client that does not take what it asked for is told so, and so is the log.
func TestSocketTooSlowToCatchUp(t *testing.T) {
	var said atomic.Int32
	log := slog.New(messages{slog.DiscardHandler, "slow client cut", &said})
	_, c := behind(t, Config{WriteTimeout: 300 * time.Millisecond, Log: log})
	eventually(t, "it is cut", func() bool { return said.Load() == 1 })
	if err := readToEnd(t, c); ws.CloseStatus(err) != ws.StatusPolicyViolation {
		t.Errorf("ended with %v", err)
	}
}

func TestSocketDrainWhileCatchingUp(t *testing.T) {
	s, c := behind(t, Config{})
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	<-s.draining.Done()
	if err := readToEnd(t, c); ws.CloseStatus(err) != ws.StatusServiceRestart {
		t.Errorf("ended with %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
