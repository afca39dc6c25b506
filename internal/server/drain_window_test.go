package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// leave begins to stop s, and returns when it lets nobody else in.
func leave(t *testing.T, s *Server) (stopped <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		done <- s.Shutdown(ctx)
	}()
	<-s.leaving.ctx.Done()
	return done
}

// lingering is a configuration by which the last clients are told to leave only when they are asked for, or the server is closed.
func lingering() Config { return Config{DrainWindow: time.Hour} }

// many has the server believe that there are many clients, so that it takes its window; until they are gone.
func many(t *testing.T, s *Server) (gone func()) {
	t.Helper()
	const n = 60_000
	add := func(n int) {
		s.slots.mu.Lock()
		defer s.slots.mu.Unlock()
		s.slots.used += n
		s.slots.max += n // descriptors may allow fewer
	}
	add(n)
	gone = sync.OnceFunc(func() { add(-n) })
	t.Cleanup(gone)
	return gone
}

// While clients leave the server is not ready, lets nobody else in who would stay, and does everything else as ever.
func TestWhileClientsLeave(t *testing.T) {
	s := start(t, lingering())
	many(t, s)
	k := mustTalk(t, s, "socket.io", "")
	k.must("subscribe", `{"channel":"a"}`, nil)
	leave(t, s)

	for _, path := range []string{"/c/a?wait=5s&after=now", "/socket.io/?EIO=4&transport=polling"} {
		response, body := request(t, "GET", s.url(path), "")
		wantError(t, response, body, 503, "stopping")
		if response.Header.Get("Retry-After") == "" || !response.Close {
			t.Errorf("%s: %v, closes %v", path, response.Header, response.Close)
		}
	}
	for _, path := range []string{"/c/a", "/ws", "/socket.io/?EIO=4&transport=websocket"} {
		c, response, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url(path), "http"), nil)
		if err == nil || response == nil || response.StatusCode != 503 {
			t.Errorf("WebSocket at %s: %v, %v", path, c, err)
		}
	}
	response, body := request(t, "POST", s.url("/c/a"), "x")
	if response.StatusCode != 200 || !response.Close {
		t.Errorf("publishing: status %d, %s, closes %v", response.StatusCode, body, response.Close)
	}
	if response, body = request(t, "GET", s.url("/c/a"), ""); response.StatusCode != 200 || !strings.Contains(body, `"x"`) {
		t.Errorf("a poll: status %d, %s", response.StatusCode, body)
	}
	// Who is there is served to the end.
	k.must("publish", `{"channel":"a","data":"y"}`, nil)
	k.expect("message", `"x"`)
	k.expect("message", `"y"`)
}

// Each is told when to come back, in the way of its transport.
func TestToldToComeBack(t *testing.T) {
	s := start(t, Config{})
	plain, multiplexed := dialSocket(t, s, "/c/a", nil), mustTalk(t, s, "ws", "")
	eventually(t, "both are there", func() bool { n, _ := s.registry.Len(); return n == 2 })
	down := leave(t, s)
	_, err := plain.Read(t.Context())
	closed, ok := errors.AsType[*ws.CloseError](err)
	var seconds float64
	if !ok || closed.Code != ws.StatusServiceRestart {
		t.Fatalf("the WebSocket ends with %v", err)
	}
	if _, err := fmt.Sscanf(closed.Reason, "the server stops: come back in %f s", &seconds); err != nil || seconds < 1 || seconds > 6 {
		t.Errorf("the reason is %q", closed.Reason)
	}
	var said closingEvent
	if err := json.Unmarshal([]byte(multiplexed.expect("disconnect").body), &said); err != nil || said.Code != "stopping" || said.After < 1 || said.After > 6 {
		t.Errorf("/ws says %+v, %v", said, err)
	}
	if code, reason := multiplexed.expectEnd(); code != ws.StatusServiceRestart || !strings.Contains(reason, `"stopping: `) {
		t.Errorf("/ws ends with %d, %s", code, reason)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if why := clients.Stopping(time.Second); !why.ComeBack() {
		t.Error("they are not to come back")
	}
}

// Before anything else a server that is to stop serves on for a while, and says that it is not ready.
func TestDrainDelay(t *testing.T) {
	s := start(t, Config{DrainDelay: time.Hour})
	stopped := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { stopped <- s.Shutdown(ctx) }()
	eventually(t, "it has begun to stop", s.leaving.begun.Load)
	if response, body := request(t, "GET", s.url("/readyz"), ""); response.StatusCode != 503 || !strings.Contains(body, "draining") {
		t.Errorf("ready: status %d, %s", response.StatusCode, body)
	}
	c := dialSocket(t, s, "/c/a", nil)
	if response, _ := request(t, "POST", s.url("/c/a"), "x"); response.StatusCode != 200 || response.Close {
		t.Errorf("publishing: status %d, closes %v", response.StatusCode, response.Close)
	}
	if m := readSocket(t, c); string(m.Data) != "x" {
		t.Errorf("came %s", m.Data)
	}
	cancel()
	if err := <-stopped; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A poll that waits is answered when the server is closed, also while that has yet to learn that it does not take its time any more.
func TestCloseWhileAPollWaits(t *testing.T) {
	s := start(t, Config{DrainDelay: time.Hour})
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		if response, err := http.Get(s.url("/c/a?wait=50s&after=now")); err == nil {
			_ = response.Body.Close()
		}
	}()
	eventually(t, "the poll waits", func() bool { return s.used() == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	eventually(t, "it has begun to stop", s.leaving.begun.Load)
	s.Close()
	<-polled
	<-stopped
}

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

// A disk that hangs does not keep clients from being told to go, or from being cut.
func TestStopWhileTheStoreHangs(t *testing.T) {
	for name, stop := range map[string]func(*Server){
		"gently": func(s *Server) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			_ = s.Shutdown(ctx)
		},
		"at once": (*Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			store := &hangingStore{hangs: make(chan struct{}), let: make(chan struct{})}
			config := Config{Log: slog.New(slog.DiscardHandler)}
			config.Channels.Store = store
			s := start(t, config)
			c := dialSocket(t, s, "/c/b", nil)
			published := make(chan struct{})
			go func() {
				defer close(published)
				if response, err := http.Post(s.url("/c/a"), "text/plain", strings.NewReader("x")); err == nil {
					_ = response.Body.Close()
				}
			}()
			<-store.hangs
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				stop(s)
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if _, err := c.Read(ctx); ctx.Err() != nil {
				t.Errorf("a client is still there: %v", err)
			}
			close(store.let)
			<-stopped
			<-published
		})
	}
}

// Whoever asks twice has the server stop at once, however far it has come.
func TestCloseWhileClientsLeave(t *testing.T) {
	for name, config := range map[string]Config{"in the delay": {DrainDelay: time.Hour}, "in the window": lingering()} {
		s := start(t, config)
		gone := many(t, s)
		c := dialSocket(t, s, "/c/a", nil)
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		eventually(t, name, func() bool { return s.leaving.begun.Load() && (config.DrainDelay > 0 || s.isLeaving()) })
		gone()
		s.Close()
		// Shutdown, which waits no longer then, may come first; and in the window it may have been its turn already.
		_, err := c.Read(t.Context())
		switch ws.CloseStatus(err) {
		case ws.StatusAbnormalClosure, ws.StatusGoingAway, ws.StatusServiceRestart:
		default:
			t.Errorf("%s: it ends with %v", name, err)
		}
		if err := <-stopped; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Polls that wait are answered with what there is, not all at once.
func TestPollsLeave(t *testing.T) {
	const polls = 200
	s := start(t, Config{DrainWindow: 2 * time.Second})
	var all sync.WaitGroup
	var mu sync.Mutex
	var at []time.Duration
	var began time.Time
	c := client(t)
	for range polls {
		all.Go(func() {
			response, err := open(t.Context(), c, s.url("/c/a?wait=60s&after=now"), typeJSON)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
			if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"next"`) {
				t.Errorf("status %d, %s, %v", response.StatusCode, body, err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return s.used() == polls })
	began = time.Now()
	down := leave(t, s)
	all.Wait()
	if err := <-down; err != nil {
		t.Error(err)
	}
	early, late := 0, 0
	for _, d := range at {
		if d < time.Second {
			early++
		} else {
			late++
		}
	}
	// A slow machine answers late, never early.
	if early > polls*3/4 || late < polls/4 {
		t.Errorf("%d polls were answered in the first half, %d in the second", early, late)
	}
}

// Who comes in the moment in which the server begins to stop is told that it is connected, and then to go.
func TestConnectedBeforeDisconnect(t *testing.T) {
	for range 20 {
		s := start(t, Config{DrainWindow: time.Second})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				c, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URLs()[0], "http")+"ws", nil)
				if err != nil {
					return // it was refused
				}
				defer c.CloseNow()
				m, err := c.Read(t.Context())
				if err == nil && !strings.HasPrefix(string(m.Data), `{"connected":`) {
					t.Errorf("it begins with %s", m.Data)
				}
				for err == nil { // it stays until it is told to go
					_, err = c.Read(t.Context())
				}
			})
		}
		eventually(t, "somebody is there", func() bool { n, _ := s.registry.Len(); return n > 0 })
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		all.Wait()
	}
}
