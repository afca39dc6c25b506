package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

func TestShutdown(t *testing.T) {
	s := start(t, Config{})
	at := publishText(t, s, "a", "1").Position()

	streams := map[string]*http.Response{}
	for _, accept := range []string{typeSSE, typeNDJSON} {
		response, err := open(t.Context(), client(t), s.url("/c/a"), accept)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		streams[accept] = response
	}
	polled := make(chan string, 1)
	go func() {
		response, err := open(t.Context(), client(t), s.url("/c/a?wait=60s&after=now"), typeJSON)
		if err != nil {
			polled <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			body = []byte(err.Error())
		}
		polled <- string(body)
	}()
	eventually(t, "all are there", func() bool { return s.used() == 3 })

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()

	if answer := parsePoll(t, <-polled); len(answer.Messages) != 0 || answer.Next != at.String() {
		t.Errorf("the poll that waited was answered %+v", answer)
	}
	events := newEvents(streams[typeSSE].Body)
	if e, err := events.next(); !errors.Is(err, io.EOF) || events.last != at.String() {
		t.Errorf("the event stream goes on with %+v, %v, at %q", e, err, events.last)
	}
	if retry, err := strconv.Atoi(events.retry); err != nil || retry < 1000 || retry > 6000 {
		t.Errorf("the event stream says retry: %q", events.retry)
	}
	if rest, err := io.ReadAll(streams[typeNDJSON].Body); err != nil || len(rest) > 0 {
		t.Errorf("the JSON lines go on with %q, %v", rest, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if c, err := net.Dial("tcp", s.listener.Addr().String()); err == nil {
		c.Close()
		t.Error("it accepts connections")
	}
}

// What was published before the end arrives before it.
func TestShutdownAfterPublish(t *testing.T) {
	s := start(t, Config{})
	response, err := open(t.Context(), client(t), s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stream := newEvents(response.Body)
	publishText(t, s, "a", strings.Repeat("x", 200_000), "last")
	go s.Shutdown(t.Context())
	for _, size := range []int{200_000, 4} {
		if e, err := stream.next(); err != nil || len(e.data) != size {
			t.Fatalf("got %d bytes, %v; want %d", len(e.data), err, size)
		}
	}
	if _, err := stream.next(); !errors.Is(err, io.EOF) {
		t.Errorf("then %v", err)
	}
}

// A client that does not read does not keep the server from stopping.
func TestShutdownIsBounded(t *testing.T) {
	s := start(t, Config{WriteTimeout: time.Hour, QueueBytes: 1 << 30})
	c := dial(t, s)
	if _, err := io.WriteString(c, "GET /c/a HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is connected", func() bool { return s.used() == 1 })
	for range 200 {
		publishText(t, s, "a", strings.Repeat("x", 200_000))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
	}
	eventually(t, "it is cut", func() bool { return s.used() == 0 })
}

func TestNewClientsWhileStopping(t *testing.T) {
	s := start(t, Config{})
	s.slots.drain()
	// A browser that got an error would never come back.
	response, body := request(t, "GET", s.url("/c/a"), "", "Accept", typeSSE)
	if retry, ok := strings.CutPrefix(body, "retry: "); response.StatusCode != 200 || !ok || len(retry) < len("1000\n\n") || retry > "7" {
		t.Errorf("an event stream: status %d, %q", response.StatusCode, body)
	}
	for _, accept := range []string{typeNDJSON, typeJSON} {
		response, body := request(t, "GET", s.url("/c/a?wait=5s&after=now"), "", "Accept", accept)
		wantError(t, response, body, 503, "stopping")
		if response.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

// Once the streams are told to end, nothing is published any more that they would not have.
func TestPublishWhileStopping(t *testing.T) {
	s := start(t, Config{})
	plain, envelope := dialSocket(t, s, "/c/a", nil), dialSocket(t, s, "/c/a", envelopes)
	s.drain()
	response, body := request(t, "POST", s.url("/c/a"), "x")
	wantError(t, response, body, 503, "stopping")
	for _, c := range []*ws.Conn{plain, envelope} {
		if err := c.Write(t.Context(), ws.Text, []byte(`{"data":"x"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := plain.Read(t.Context()); ws.CloseStatus(err) != ws.StatusGoingAway {
		t.Errorf("a plain frame: %v", err)
	}
	if m := readSocket(t, envelope); !strings.Contains(m.String(), `"stopping"`) {
		t.Errorf("an envelope: %s", m.Data)
	}
	if batch, err := s.Hub().Read("a", channel.Oldest(), 0); err != nil || len(batch.Messages) > 0 {
		t.Errorf("published %v, %v", batch.Messages, err)
	}
}

// What was answered with 200 reaches the streams that were not told to leave before, however close the end is.
func TestPublishedReachesStreams(t *testing.T) {
	s := start(t, Config{QueueBytes: 64 << 20})
	response, err := open(t.Context(), client(t), s.url("/c/a"), typeNDJSON)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	eventually(t, "it is there", func() bool { return s.used() == 1 })
	var accepted atomic.Int64
	var publishers sync.WaitGroup
	for range 4 {
		publishers.Go(func() {
			for {
				if _, err := s.put(metrics.ByHTTP, func() (*channel.Message, error) { return s.hub.Publish("a", channel.Message{Data: []byte("x")}) }); err != nil {
					return
				}
				if accepted.Add(1) == 200 {
					s.slots.drain()
					go s.finish(context.Background())
				}
			}
		})
	}
	body, err := io.ReadAll(response.Body)
	publishers.Wait()
	if got := int64(strings.Count(string(body), `"offset"`)); err != nil || got != accepted.Load() {
		t.Errorf("%d of %d came, %v", got, accepted.Load(), err)
	}
}

// A client that closes its half of the connection while it waits gets no answer, rather than an empty one.
func TestHalfClosedPoll(t *testing.T) {
	var logged atomic.Int32
	s := start(t, Config{Log: slog.New(messages{slog.DiscardHandler, "handler panicked", &logged})})
	c := dial(t, s)
	if _, err := io.WriteString(c, "GET /c/a?wait=30s HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return s.used() == 1 })
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || len(answer) > 0 {
		t.Errorf("answered %q, %v", answer, err)
	}
	if logged.Load() > 0 {
		t.Error("the log speaks of a panic")
	}
}
