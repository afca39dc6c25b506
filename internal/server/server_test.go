package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baro.dev/channel"
)

// start runs a server on a free port of the loopback interface, until the test ends.
func start(t *testing.T, config Config) *Server {
	t.Helper()
	config.Listen = "127.0.0.1:0"
	if config.Rules == nil && config.Auth == nil {
		config.Anonymous, config.Rules = true, []Rule{devRule()}
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, s)
	return s
}

// serving has s serve until the test ends.
func serving(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func (s *Server) url(path string) string {
	return s.scheme() + "://" + s.listener.Addr().String() + path
}

// client is an HTTP client of its own, whose connections end with the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// answer is an answer whose body has been read.
type answer struct {
	StatusCode int
	Header     http.Header
	Close      bool // the connection ends with it
}

// request makes a request and gives the answer with its whole body.
func request(t *testing.T, method, url, body string, header ...string) (answer, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Add(header[i], header[i+1])
	}
	response, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return read(t, response)
}

func read(t *testing.T, response *http.Response) (answer, string) {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.Close}, string(body)
}

func publishText(t *testing.T, s *Server, name string, texts ...string) *channel.Message {
	t.Helper()
	var last *channel.Message
	for _, text := range texts {
		m, err := s.Hub().Publish(name, channel.Message{Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		last = m
	}
	return last
}

// wantError checks that an answer is an error with a status and a code, as JSON.
func wantError(t *testing.T, response answer, body string, status int, code string) {
	t.Helper()
	var said struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		t.Errorf("status %d with a body that is no JSON error: %q", response.StatusCode, body)
		return
	}
	if response.StatusCode != status || said.Error.Code != code || said.Error.Message == "" {
		t.Errorf("status %d, %+v; want %d, %s", response.StatusCode, said.Error, status, code)
	}
	if got := response.Header.Get("Content-Type"); got != typeJSON {
		t.Errorf("an error of the type %q", got)
	}
}

// dial opens a connection of bytes, for what no HTTP client would send.
func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// readToClose reads until the server closes the connection, which is a reset where something that it has not read was under way.
func readToClose(c net.Conn) ([]byte, error) {
	all, err := io.ReadAll(c)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	return all, err
}

// raw sends bytes and gives the first answer.
func raw(t *testing.T, s *Server, request string) (answer, string) {
	t.Helper()
	c := dial(t, s)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return read(t, response)
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func (s *Server) used() int {
	s.slots.mu.Lock()
	defer s.slots.mu.Unlock()
	return s.slots.used
}

func (s *Server) limitClients(n int) {
	s.slots.bound(n)
}

func TestRoutes(t *testing.T) {
	s := start(t, Config{})
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/livez", 200, ""},
		{"HEAD", "/livez", 200, ""},
		{"POST", "/livez", 405, "GET, HEAD"},
		{"GET", "/", 200, ""},
		{"POST", "/", 405, "GET, HEAD"},
		{"GET", "/console/app.js", 200, ""},
		{"GET", "/console/", 404, ""},
		{"GET", "/nothing", 404, ""},
		{"GET", "/c", 404, ""},
		{"GET", "/c/", 400, ""},
		{"HEAD", "/c/a", 200, ""},
		{"OPTIONS", "/c/a", 204, allowedMethods},
		{"PUT", "/c/a", 405, allowedMethods},
		{"DELETE", "/c/a", 405, allowedMethods},
		{"PATCH", "/c/a", 405, allowedMethods},
		{"BREW", "/c/a", 405, allowedMethods},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			response, body := request(t, test.method, s.url(test.path), "")
			if response.StatusCode != test.status || response.Header.Get("Allow") != test.allow {
				t.Errorf("status %d, Allow %q; want %d, %q", response.StatusCode, response.Header.Get("Allow"), test.status, test.allow)
			}
			if response.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("browsers may guess at its type")
			}
			if test.method == "HEAD" && body != "" {
				t.Errorf("an answer to HEAD has the body %q", body)
			}
			if test.status >= 400 && !json.Valid([]byte(body)) {
				t.Errorf("the error is not JSON: %q", body)
			}
		})
	}
	t.Run("no console", func(t *testing.T) {
		s := start(t, Config{NoConsole: true})
		response, body := request(t, "GET", s.url("/"), "")
		wantError(t, response, body, 404, "not_found")
	})
}

// A name is everything after /c/, percent-decoded once.
func TestNamesInURLs(t *testing.T) {
	s := start(t, Config{})
	good := map[string]string{
		"demo":               "demo",
		"rooms/42":           "rooms/42",
		"rooms%2F42":         "rooms/42",
		"a%252Fb":            "a%2Fb",
		"a//b":               "a//b",
		"a+b":                "a+b",
		"a%20b":              "a b",
		"%EB%B0%94%EB%A1%9C": "바로",
		"*":                  "*",
		"..":                 "..",
		"a/../b":             "a/../b",
		"%2e%2e/livez":       "../livez",
	}
	for path, name := range good {
		// Raw, since clients tidy paths up.
		response, body := raw(t, s, "POST /c/"+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, %s", path, response.StatusCode, body)
			continue
		}
		batch, err := s.Hub().Read(name, channel.Oldest(), 0)
		if err != nil || len(batch.Messages) == 0 {
			t.Errorf("%s: the channel %q has no message", path, name)
		}
	}
	bad := []string{
		"", "%00", "a%00b", "a%0d%0aX:%20y", "%7f", "%ff", "%c0%af", "%ed%a0%80", "%e2%80%ae", "%c2%85",
		strings.Repeat("n", 256), strings.Repeat("%EA%B0%80", 86),
	}
	for _, path := range bad {
		for _, method := range []string{"GET", "POST"} {
			response, body := raw(t, s, method+" /c/"+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			wantError(t, response, body, 400, "invalid_name")
		}
	}
	if n := s.Hub().Stats().Channels; n > len(good) {
		t.Errorf("%d channels: some were made for names that were refused", n)
	}
}

func TestNegotiate(t *testing.T) {
	tests := map[string]string{
		"":                                  typeJSON,
		"*/*":                               typeJSON,
		"application/json":                  typeJSON,
		"application/*":                     typeJSON,
		"text/event-stream":                 typeSSE,
		"TEXT/Event-Stream":                 typeSSE,
		"text/*":                            typeSSE,
		"application/x-ndjson":              typeNDJSON,
		"application/ndjson":                typeNDJSON,
		"application/jsonl":                 typeNDJSON,
		"application/json, text/plain, */*": typeJSON,
		"text/event-stream, */*":            typeSSE,
		"*/*, application/x-ndjson":         typeNDJSON,
		"text/event-stream;q=0.5, application/x-ndjson;q=0.9": typeNDJSON,
		"text/event-stream;q=0.5, */*;q=0.8":                  typeJSON,
		"text/event-stream;q=0, */*":                          typeJSON,
		"text/html,application/xhtml+xml,*/*;q=0.8":           typeJSON,
		"text/html":               "",
		"text/event-stream;q=0":   "",
		"text/event-stream;q=2":   "",
		"text/event-stream;q=NaN": "",
		",;,q=,/,":                "",
		strings.Repeat(",", 10_000) + "text/event-stream": typeSSE,
	}
	for accept, want := range tests {
		if got := negotiate(http.Header{"Accept": {accept}}); got != want {
			t.Errorf("%.60q: %q, want %q", accept, got, want)
		}
	}
	if got := negotiate(http.Header{"Accept": {"text/html", "text/event-stream"}}); got != typeSSE {
		t.Errorf("two headers: %q", got)
	}
	s := start(t, Config{})
	response, body := request(t, "GET", s.url("/c/a"), "", "Accept", "image/png")
	wantError(t, response, body, 406, "not_acceptable")
}

func TestQuery(t *testing.T) {
	s := start(t, Config{})
	at := publishText(t, s, "a", "1", "2").Position()
	tests := []struct {
		query  string
		status int
		want   int // messages
	}{
		{"", 200, 2},
		{"?after=oldest", 200, 2},
		{"?after=now", 200, 0},
		{"?after=0", 200, 2},
		{"?after=1", 200, 1},
		{"?after=2", 200, 0},
		{"?after=1&epoch=" + at.Epoch, 200, 1},
		{"?after=" + at.Epoch + ":1", 200, 1},
		{"?after=" + at.Epoch + "%3A1&epoch=" + at.Epoch, 200, 1},
		{"?after=1&wait=30s", 200, 1},
		{"?after=1&wait=0", 200, 1},
		{"?_=1700000000&after=1", 200, 1},
		{"?after=3", 410, 0},
		{"?after=1&epoch=OTHER", 410, 0},
		{"?after=OTHER:1", 410, 0},
		{"?after=18446744073709551615", 410, 0},
		{"?after=18446744073709551616", 400, 0},
		{"?after=-1", 400, 0},
		{"?after=x", 400, 0},
		{"?after=1&epoch=a%0d%0ab", 400, 0},
		{"?after=" + at.Epoch + ":1&epoch=OTHER", 400, 0},
		{"?after=1&after=2", 400, 0},
		{"?wait=soon", 400, 0},
		{"?wait=-1s", 400, 0},
		{"?wait=99999999999999999999", 400, 0},
		{"?after=%zz", 400, 0},
		{"?after=1;wait=1", 400, 0},
		{"?after=" + strings.Repeat("1", 5000), 400, 0},
	}
	for _, test := range tests {
		response, body := request(t, "GET", s.url("/c/a"+test.query), "")
		if response.StatusCode != test.status {
			t.Errorf("%.60s: status %d, %.200s; want %d", test.query, response.StatusCode, body, test.status)
			continue
		}
		if test.status != 200 {
			continue
		}
		answer := parsePoll(t, body)
		if len(answer.Messages) != test.want || answer.Next != at.String() || answer.Offset != at.Offset || answer.Epoch != at.Epoch {
			t.Errorf("%s: %s; want %d messages", test.query, body, test.want)
		}
		if got := response.Header.Get("Baro-Position"); got != at.String() {
			t.Errorf("%s: Baro-Position %q, want %q", test.query, got, at)
		}
	}
}

type pollAnswer struct {
	Messages []channel.Message
	Epoch    string
	Offset   uint64
	Next     string
}

func parsePoll(t *testing.T, body string) pollAnswer {
	t.Helper()
	var answer pollAnswer
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return answer
}

// An answer says where to go on, also where it must refuse.
func TestNotRecoverable(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{HistoryCount: 1}})
	at := publishText(t, s, "a", "1", "2", "3").Position()
	for _, accept := range []string{typeJSON, typeNDJSON} {
		response, body := request(t, "GET", s.url("/c/a?after=1"), "", "Accept", accept)
		wantError(t, response, body, 410, "not_recoverable")
		if answer := parsePoll(t, body); answer.Next != at.String() {
			t.Errorf("%s: go on from %q, want %q", accept, answer.Next, at)
		}
	}
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	log strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

func TestURLs(t *testing.T) {
	s := start(t, Config{})
	u, err := url.Parse(s.URLs()[0])
	if err != nil || u.Scheme != "http" || u.Hostname() != "localhost" || u.Port() == "0" {
		t.Errorf("URLs %v, %v", s.URLs(), err)
	}
}

func TestConfigRefuses(t *testing.T) {
	tests := map[string]Config{
		"nobody could":      {},
		"together":          {TLSCert: "cert.pem"},
		"TLS certificate":   {TLSCert: "/nonexistent", TLSKey: "/nonexistent"},
		"every page":        {AllowOrigins: []string{"*"}},
		"after the host":    {AllowOrigins: []string{"https://example.com/"}},
		"must begin":        {AllowOrigins: []string{"example.com"}},
		"begin with":        {AllowOrigins: []string{"chrome-extension://example"}},
		"host must be":      {AllowOrigins: []string{"https://*.example.com"}},
		"no host":           {AllowOrigins: []string{"https://"}},
		"connections must":  {MaxConnections: -1},
		"max_message_bytes": {Channels: channel.Options{MaxMessageBytes: -1}},
		"write_timeout":     {WriteTimeout: -1},
		"max_channels":      {Channels: channel.Options{MaxChannels: -1}},
	}
	for why, config := range tests {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("error %v, want %q", err, why)
		}
	}
}

func TestPortInUse(t *testing.T) {
	s := start(t, Config{})
	second, err := New(Config{Dev: true, Listen: s.listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Listen(); err == nil {
		t.Error("two servers listen on one address")
	}
}

func TestPanicsAreContained(t *testing.T) {
	var log lockedBuffer
	s, err := New(Config{Dev: true, Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.live.Store(&current{Config: s.config}) // a mistake
	serving(t, s)
	c := dial(t, s)
	fmt.Fprint(c, "GET /c/a HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n\r\n")
	if answer, err := io.ReadAll(c); len(answer) > 0 || err != nil {
		t.Errorf("answered with %q, %v", answer, err)
	}
	if response, _ := request(t, "GET", s.url("/livez"), ""); response.StatusCode != http.StatusOK {
		t.Errorf("afterwards: status %d", response.StatusCode)
	}
	if s.used() != 0 {
		t.Error("the slot is lost")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "nil pointer") || !strings.Contains(log.String(), "origin.go") {
		t.Errorf("the log has %q", log.String())
	}
}
