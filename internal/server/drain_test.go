package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
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
	s.clients.drain()
	for _, accept := range []string{typeSSE, typeNDJSON, typeJSON} {
		response, body := request(t, "GET", s.url("/c/a?wait=5s&after=now"), "", "Accept", accept)
		wantError(t, response, body, 503, "stopping")
		if response.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}
