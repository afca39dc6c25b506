package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/testkit"
)

func TestMaxConnections(t *testing.T) {
	var log logged
	s := start(t, Config{MaxConnections: 2, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	held := []net.Conn{dial(t, s), dial(t, s)}
	eventually(t, "both are counted", func() bool { return s.connections.open.Load() == 2 })

	response, body := raw(t, s, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	wantError(t, response, body, 503, "too_many_clients")
	if response.Header.Get("Retry-After") == "" || !response.Close {
		t.Errorf("the refused client is not told to come back: %v", response.Header)
	}
	held[0].Close()
	eventually(t, "one is gone", func() bool { return s.connections.open.Load() <= 1 })
	if response, _ := raw(t, s, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); response.StatusCode != http.StatusOK {
		t.Errorf("with room again: status %d", response.StatusCode)
	}

	// There is an end to answering: then connections are just closed.
	for range 2 + reserve {
		dial(t, s)
	}
	eventually(t, "one is closed at once", func() bool {
		c := dial(t, s)
		defer c.Close()
		_, err := c.Read(make([]byte, 1))
		return err != nil
	})
	eventually(t, "no more are open than are answered", func() bool { return s.connections.open.Load() <= 2+reserve })
	for _, line := range log.lines(t, "refused") {
		if remote, _ := line["remote"].(string); !strings.HasPrefix(remote, "127.0.0.1:") {
			t.Errorf("it is not told who was refused: %v", line)
		}
	}
}

func TestMaxClients(t *testing.T) {
	s := start(t, Config{})
	s.limitClients(1) // as on one HTTP/2 connection, which carries many
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	response, err := open(ctx, client(t), s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for _, accept := range []string{typeSSE, typeNDJSON, typeJSON} {
		response, body := request(t, "GET", s.url("/c/a?wait=1s&after=now"), "", "Accept", accept)
		wantError(t, response, body, 503, "too_many_clients")
	}
	// What is over at once is not counted.
	if response, _ := request(t, "GET", s.url("/c/a"), ""); response.StatusCode != http.StatusOK {
		t.Errorf("a poll: status %d", response.StatusCode)
	}
	cut()
	eventually(t, "there is room again", func() bool { return s.used() == 0 })
}

func TestMaxChannels(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{MaxChannels: 1}})
	response, err := open(t.Context(), client(t), s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	publishText(t, s, "a", "1")
	if e, err := newEvents(response.Body).next(); err != nil || e.data != "1" { // so it has subscribed
		t.Fatal(e, err)
	}
	for _, method := range []string{"GET", "POST"} {
		response, body := request(t, method, s.url("/c/b"), "")
		wantError(t, response, body, 503, "too_many_channels")
	}
}

// Headers: too many, too long, too slow, never.
func TestHostileHeads(t *testing.T) {
	s := start(t, Config{})
	long := "GET /c/a HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"
	var many strings.Builder
	many.WriteString("GET /c/a HTTP/1.1\r\nHost: x\r\n")
	for i := range 2000 {
		fmt.Fprintf(&many, "X-%d: 0123456789\r\n", i)
	}
	many.WriteString("\r\n")
	for name, head := range map[string]string{"long": long, "many": many.String()} {
		c := dial(t, s)
		go func() { _, _ = io.WriteString(c, head) }() // the answer comes before it is through
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		response.Body.Close()
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !response.Close {
			t.Errorf("%s: status %d", name, response.StatusCode)
		}
	}

	s = start(t, Config{HeaderTimeout: 300 * time.Millisecond})
	silent, dribbling := dial(t, s), dial(t, s)
	go func() {
		for _, b := range []byte("GET /c/a HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1000)) {
			if _, err := dribbling.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // being slow is what this is about
		}
	}()
	for name, c := range map[string]net.Conn{"silent": silent, "dribbling": dribbling} {
		if answer, err := readToClose(c); err != nil || strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
}

// A body that does not come must hold nobody up for long, wanted or not.
func TestStalledBodies(t *testing.T) {
	s := start(t, Config{BodyTimeout: 200 * time.Millisecond})
	heads := map[string]int{
		"POST /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc":                           408,
		"POST /c/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc":               408,
		"GET /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc":                            400,
		"GET /c/a HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 100\r\n\r\n":  400,
		"PUT /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc":                            405,
		"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc":                         405,
		"POST /c/a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\nabc": 415,
	}
	for head, status := range heads {
		c := dial(t, s)
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c) // to the end: the connection is closed
		if err != nil || !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", status)) {
			t.Errorf("%q: %.60q, %v; want %d", head, answer, err, status)
		}
	}
	eventually(t, "all connections are gone", func() bool { return s.connections.open.Load() == 0 })
}

// The time for an answer begins when the body is there, or has not come: over HTTP/2 as well.
func TestSlowBodies(t *testing.T) {
	cert, key, pool := testkit.Certificate(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, Timeout: time.Minute}

	const writing = 2 * time.Second
	tests := map[string]struct {
		ends, allowed time.Duration // when the body ends, and how long it may take
		status        int
	}{
		"slow":  {3 * time.Second, time.Hour, http.StatusOK},
		"never": {time.Hour, 3 * time.Second, http.StatusRequestTimeout},
	}
	for _, scheme := range []string{"http", "https"} {
		for name, test := range tests {
			t.Run(scheme+" "+name, func(t *testing.T) {
				t.Parallel()
				config := Config{BodyTimeout: test.allowed, WriteTimeout: writing}
				if scheme == "https" {
					config.TLSCert, config.TLSKey = cert, key
				}
				s := start(t, config)
				body, w := io.Pipe()
				go func() { _, _ = io.WriteString(w, "a") }()
				timer := time.AfterFunc(test.ends, func() { w.Close() })
				response, err := c.Post(s.url("/c/a"), "text/plain", body)
				timer.Stop()
				body.Close()
				if err != nil {
					t.Fatal(err)
				}
				if response.Body.Close(); response.StatusCode != test.status {
					t.Errorf("status %d, want %d", response.StatusCode, test.status)
				}
			})
		}
	}
}

// A client that does not read is cut, whether it fills its queue or its connection; the others notice nothing, and what
// it missed waits for it.
func TestSlowReaders(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	tests := []struct {
		name   string
		config Config
	}{
		{"queue", Config{QueueBytes: 300_000, WriteTimeout: time.Hour}},
		{"deadline", Config{QueueBytes: 1 << 30, WriteTimeout: 300 * time.Millisecond}},
	}
	for _, test := range tests {
		for _, accept := range []string{typeSSE, typeNDJSON} {
			t.Run(test.name+" "+accept, func(t *testing.T) {
				test.config.Channels = channel.Options{HistoryBytes: 64 << 20}
				s := start(t, test.config)
				slow := dial(t, s)
				fmt.Fprintf(slow, "GET /c/a HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", accept)
				eventually(t, "it is connected", func() bool { return s.used() == 1 })

				// A poller, so that the test can wait for each message to be there.
				published := 0
				eventually(t, "it is cut", func() bool {
					publishText(t, s, "a", big)
					published++
					return s.used() == 0
				})
				// Another reader, which is cut like the first, and comes again, if the machine stands still while it reads.
				eventually(t, "another reader gets all messages", func() bool {
					response, err := open(t.Context(), client(t), s.url("/c/a?after=oldest"), accept)
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
					lines := bufio.NewScanner(response.Body)
					lines.Buffer(nil, 1<<20)
					n := 0
					for n < min(published, 50) && lines.Scan() {
						if strings.Contains(lines.Text(), big) {
							n++
						}
					}
					return n == min(published, 50)
				})
			})
		}
	}
}

// Catching up with more than the queue holds is no reason to be cut.
func TestCatchUpBeyondTheQueue(t *testing.T) {
	s := start(t, Config{QueueBytes: 1000, Channels: channel.Options{HistoryBytes: 64 << 20}})
	for i := range 200 {
		publishText(t, s, "a", fmt.Sprint(i, strings.Repeat("x", 2000)))
	}
	n := 0
	err := readNDJSON(t.Context(), client(t), s.url("/c/a"), "", func(m channel.Message) bool {
		if m.Offset != uint64(n+1) {
			t.Errorf("offset %d when %d was due", m.Offset, n+1)
		}
		n++
		return n < 200
	})
	if err != nil || n != 200 {
		t.Errorf("%d messages, %v", n, err)
	}
}

// Who is let go while it catches up, and takes nothing, does not stay until its time is over.
func TestLetGoWhileCatchingUp(t *testing.T) {
	s := start(t, Config{WriteTimeout: time.Hour, Channels: channel.Options{HistoryBytes: 64 << 20}})
	big := strings.Repeat("x", 200_000)
	for range 200 {
		publishText(t, s, "a", big)
	}
	slow := dial(t, s)
	fmt.Fprintf(slow, "GET /c/a?after=oldest HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", typeNDJSON)
	eventually(t, "it is connected", func() bool { return len(s.registry.All()) == 1 })
	s.registry.All()[0].Disconnect(clients.EndExpired)
	eventually(t, "it is gone", func() bool { return s.used() == 0 })
}

// An answer is bounded; the rest is there for the next poll.
func TestPollInParts(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{HistoryBytes: 64 << 20}})
	for range 12 {
		publishText(t, s, "a", strings.Repeat("x", 200_000))
	}
	after, n, answers := "oldest", 0, 0
	for n < 12 {
		_, body := request(t, "GET", s.url("/c/a?after="+after), "")
		answer := parsePoll(t, body)
		if len(answer.Messages) == 0 || len(body) > 2<<20 {
			t.Fatalf("%d messages in %d bytes", len(answer.Messages), len(body))
		}
		n += len(answer.Messages)
		after = answer.Next
		answers++
	}
	if n != 12 || answers < 3 {
		t.Errorf("%d messages in %d answers", n, answers)
	}
}
