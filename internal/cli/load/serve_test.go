package load

import (
	"log/slog"
	"testing"
	"time"

	"baro.dev/internal/cli/target"
	"baro.dev/internal/server"
)

// baro serve is found to lose nothing, over each transport and way to publish.
func TestServe(t *testing.T) {
	t.Parallel()
	s, err := server.New(server.Config{Listen: "127.0.0.1:0", Dev: true, Log: slog.New(slog.DiscardHandler)})
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
	at, err := (&target.Options{Proxy: "none"}).Target(s.URLs()[0] + "c/bench")
	if err != nil {
		t.Fatal(err)
	}
	to, err := From(at)
	if err != nil {
		t.Fatal(err)
	}
	for i, transport := range []Transport{WebSocket, SocketIO, EventStream, JSONLines, LongPolling} {
		by := []string{"post", "api", "websocket"}[i%3]
		t.Run(string(transport)+" by "+by, func(t *testing.T) {
			t.Parallel()
			o := Options{
				Target: to, Scenario: FanOut, Transports: []Transport{transport}, Connections: 6, Channels: 2, Publishers: 3, PublishBy: by,
				Rate: 300, Size: 100, Duration: 200 * time.Millisecond, Drain: time.Minute, MaxErrors: -1,
			}
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Messages != 60*3 || r.Lost+r.Duplicated+r.Reordered+r.ErrorCount+r.Unsent != 0 {
				t.Errorf("%d deliveries: %+v", r.Messages, r)
			}
		})
	}
}
