package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// looped is the client of a stream that a loop drives.
type looped struct {
	net.Conn
	answer *http.Response
}

// follow opens a stream of the channel "a", and waits until a loop drives it.
func follow(t *testing.T, s *Server) *looped {
	t.Helper()
	before := s.streams.len()
	c := dial(t, s)
	fmt.Fprintf(c, "GET /c/a HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", typeSSE)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusOK || !r.Close { // nothing can be asked for on the connection after it
		t.Fatal(r, err)
	}
	eventually(t, "a loop drives the stream", func() bool { return s.streams.len() == before+1 })
	return &looped{c, r}
}

func (k *streams) len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.open)
}

// A client that reads late gets everything that was published meanwhile, in order, though the kernel took it in parts.
func TestLoopedStreamOfALateReader(t *testing.T) {
	s := start(t, Config{QueueBytes: 64 << 20, Channels: channel.Options{HistoryBytes: 64 << 20}})
	c := follow(t, s)
	const count = 400
	filler := strings.Repeat("x", 50_000)
	for i := range count {
		publishText(t, s, "a", fmt.Sprint(i, " ", filler))
	}
	e := newEvents(c.answer.Body)
	for i := range count {
		got, err := e.next()
		if err != nil || got.data != fmt.Sprint(i, " ", filler) {
			t.Fatalf("message %d: %.20q, %v", i, got.data, err)
		}
	}
}

// A client that takes nothing is cut: when too much waits for it, and when its time is over.
func TestLoopedStreamOfASlowClient(t *testing.T) {
	for name, config := range map[string]Config{
		"queue": {QueueBytes: 1 << 20},
		"time":  {QueueBytes: 1 << 30, WriteTimeout: 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, config)
			c := follow(t, s)
			filler := strings.Repeat("x", 100_000)
			eventually(t, "the stream is cut", func() bool {
				publishText(t, s, "a", filler)
				return s.used() == 0
			})
			// It must not look as if it had come to its end.
			if _, err := io.Copy(io.Discard, c.answer.Body); err == nil {
				t.Error("the stream has ended well")
			}
			if n, _ := s.registry.Len(); n != 0 || s.streams.len() != 0 {
				t.Errorf("%d clients, %d streams", n, s.streams.len())
			}
		})
	}
}

// However much waits for a client, it is cut when it has taken no piece of it in the time for one.
func TestLoopedStreamOfAStuckClient(t *testing.T) {
	s := start(t, Config{QueueBytes: 1 << 30, WriteTimeout: 500 * time.Millisecond, Channels: channel.Options{HistoryCount: 1}})
	c := follow(t, s)
	filler := strings.Repeat("x", 200_000)
	for range 300 {
		publishText(t, s, "a", filler)
	}
	_, _ = io.CopyN(io.Discard, c, 20<<20) // upon which the loop takes on all that waits
	eventually(t, "the stream is cut", func() bool { return s.used() == 0 })
}

// A stream that comes to the loops when the others have been cut is cut, too.
func TestLoopedStreamComesTooLate(t *testing.T) {
	s := start(t, Config{})
	s.streams.endAll(endCut)
	c := dial(t, s)
	fmt.Fprintf(c, "GET /c/a HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", typeSSE)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s, %v", body, err)
	}
}

// A silent stream gives signs of life, whatever the client says meanwhile, and is forgotten when the client goes.
func TestLoopedStreamLivesAndEnds(t *testing.T) {
	s := start(t, Config{Heartbeat: 20 * time.Millisecond})
	c := follow(t, s)
	if _, err := c.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 1000)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(c.answer.Body)
	for beats := 0; beats < 3; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == ":\n" {
			beats++
		}
	}
	publishText(t, s, "a", "still here")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "data: still here\n" {
			break
		}
	}
	c.Close()
	eventually(t, "the client is forgotten", func() bool { return s.used() == 0 && s.streams.len() == 0 })
	if n, _ := s.registry.Len(); n != 0 {
		t.Errorf("%d clients", n)
	}
	if info, err := s.hub.Info("a"); err != nil || info.Subscribers != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

// A client that the server lets go has the end of its stream, behind what was published before.
func TestLoopedStreamIsReleased(t *testing.T) {
	s := start(t, Config{})
	c := follow(t, s)
	publishText(t, s, "a", "one", "two")
	for _, one := range s.registry.All() {
		one.Disconnect(clients.EndDisconnected)
		one.Disconnect(clients.EndDisconnected)
	}
	body, err := io.ReadAll(c.answer.Body)
	if err != nil || !strings.Contains(string(body), "data: one\n") || !strings.HasSuffix(string(body), "data: two\n\n") {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// What a client of HTTP/1.0 gets has no chunks.
func TestStreamWithoutChunks(t *testing.T) {
	s := start(t, Config{})
	c := dial(t, s)
	fmt.Fprintf(c, "GET /c/a HTTP/1.0\r\nAccept: %s\r\n\r\n", typeSSE)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusOK || len(r.TransferEncoding) > 0 {
		t.Fatal(r, err)
	}
	eventually(t, "the client has subscribed", func() bool {
		info, err := s.hub.Info("a")
		return err == nil && info.Subscribers == 1
	})
	publishText(t, s, "a", "hello")
	e := newEvents(r.Body)
	if got, err := e.next(); err != nil || got.data != "hello" || s.streams.len() != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
