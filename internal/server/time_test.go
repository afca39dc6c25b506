package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
)

// written is an answer that can be looked at while it is written.
type written struct {
	mu     sync.Mutex
	header http.Header
	status int
	body   strings.Builder
}

func (w *written) Header() http.Header { return w.header }

func (w *written) WriteHeader(status int) { w.status = status }

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.Write(p)
}

func (w *written) Flush() {}

func (w *written) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.body.String()
	w.body.Reset()
	return s
}

// serve answers a request without a network, in the time of the bubble.
func serve(t *testing.T, s *Server, url, accept string) (w *written, done <-chan struct{}) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	r.Header.Set("Accept", accept)
	w = &written{header: http.Header{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.ServeHTTP(w, r)
	}()
	synctest.Wait()
	return w, ended
}

func newServer(t *testing.T, config Config) *Server {
	t.Helper()
	config.Log = slog.New(slog.DiscardHandler)
	config.Dev = true
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLongPollTime(t *testing.T) {
	tests := map[string]time.Duration{
		"30s":    30 * time.Second,
		"1500ms": 1500 * time.Millisecond,
		"7":      7 * time.Second,
		"10h":    time.Minute, // as long as allowed
		"0":      0,
		"0s":     0,
	}
	for wait, want := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{})
			began := time.Now()
			w, done := serve(t, s, "/c/a?wait="+wait, "")
			<-done
			if took := time.Since(began); took != want {
				t.Errorf("wait=%s took %v, want %v", wait, took, want)
			}
			answer := parsePoll(t, w.take())
			if len(answer.Messages) != 0 || answer.Offset != 0 || !strings.HasSuffix(answer.Next, ":0") {
				t.Errorf("wait=%s answered %+v", wait, answer)
			}
		})
	}
}

func TestLongPollIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		began := time.Now()
		waiting := make([]<-chan struct{}, 5)
		answers := make([]*written, 5)
		for i := range waiting {
			answers[i], waiting[i] = serve(t, s, "/c/a?wait=30s", "")
		}
		time.Sleep(3 * time.Second)
		publishText(t, s, "a", "1")
		for i := range waiting {
			<-waiting[i]
			if answer := parsePoll(t, answers[i].take()); len(answer.Messages) != 1 {
				t.Errorf("answered %+v", answer)
			}
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v, want 3s", took)
		}
		s.drain()
	})
}

func TestHeartbeats(t *testing.T) {
	for accept, heartbeat := range map[string]string{typeSSE: ":\n\n", typeNDJSON: "\n"} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t, Config{})
			w, done := serve(t, s, "/c/a", accept)
			w.take()
			time.Sleep(24 * time.Second)
			if got := w.take(); got != "" {
				t.Errorf("%s: %q within 24 s", accept, got)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := w.take(); got != heartbeat {
				t.Errorf("%s: %q after 25 s, want %q", accept, got, heartbeat)
			}
			// A message is a sign of life as well.
			time.Sleep(20 * time.Second)
			publishText(t, s, "a", "x")
			synctest.Wait()
			w.take()
			time.Sleep(24 * time.Second)
			if got := w.take(); got != "" {
				t.Errorf("%s: %q 24 s after a message", accept, got)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := w.take(); got != heartbeat {
				t.Errorf("%s: %q 25 s after a message, want %q", accept, got, heartbeat)
			}
			s.drain()
			<-done
		})
	}
}

func TestClientsAreToldToSpread(t *testing.T) {
	s := newServer(t, Config{ReconnectWindow: 10 * time.Second})
	seen := map[time.Duration]bool{}
	for range 100 {
		d := s.returnAfter()
		if d < time.Second || d > 11*time.Second {
			t.Errorf("after %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 90 {
		t.Errorf("%d different times in 100", len(seen))
	}
}

func TestQueue(t *testing.T) {
	h := channel.NewHub(nil)
	f := &format{message: func(m *channel.Message) []byte { return m.Data }}
	cut := make(chan struct{})
	q := newQueue(f, 10, func() { close(cut) })
	if _, err := h.Subscribe("a", channel.Now(), q); err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		if _, err := h.Publish("a", channel.Message{Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
	put("larger than the bound")
	if parts, whole := q.take(nil); len(parts) != 1 || !whole {
		t.Errorf("one message alone: %q, %v", parts, whole)
	}
	put("12345")
	put("67890")
	parts, whole := q.take(nil)
	if len(parts) != 2 || !whole {
		t.Errorf("as much as fits: %q, %v", parts, whole)
	}
	put("12345")
	put("678901")
	put("x")
	if parts, whole := q.take(parts); len(parts) != 0 || whole {
		t.Errorf("beyond the bound: %q, %v; want nothing", parts, whole)
	}
	select {
	case <-q.ready:
	default:
		t.Error("nobody is told")
	}
	<-cut // once: a second time would panic
}

func TestPollOfClientThatWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{})
		ctx, gone := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/c/a?wait=30s", nil)
		w := &written{header: http.Header{}}
		ended := make(chan any)
		go func() {
			defer func() { ended <- recover() }()
			s.ServeHTTP(w, r)
		}()
		synctest.Wait()
		gone()
		if v := <-ended; v != http.ErrAbortHandler {
			t.Errorf("it ended with %v", v)
		}
		if got := w.take(); got != "" {
			t.Errorf("it was answered %q", got)
		}
		if s.used() != 0 {
			t.Error("its slot is lost")
		}
	})
}

func BenchmarkDeliver(b *testing.B) {
	h := channel.NewHub(nil)
	queues := make([]*queue, 1000)
	for i := range queues {
		queues[i] = newQueue(&sse, 1<<20, func() {})
		if _, err := h.Subscribe("a", channel.Now(), queues[i]); err != nil {
			b.Fatal(err)
		}
	}
	spare := make([][][]byte, len(queues))
	data := []byte("hello")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Publish("a", channel.Message{Data: data}); err != nil {
			b.Fatal(err)
		}
		for i, q := range queues {
			spare[i], _ = q.take(spare[i])
		}
	}
}
