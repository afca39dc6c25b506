package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/internal/webhook"
)

// secret is 32 bytes of nothing in particular.
const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// request is one that a backend got.
type request struct {
	at     time.Time
	header http.Header
	body   []byte
	events []event
}

type event struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Data json.RawMessage `json:"data"`
}

// readRequest checks what holds for every request.
func readRequest(t testing.TB, r *http.Request) request {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("a request breaks off: %v", err)
	}
	if err := webhook.Verify(r.Header, body, []string{secret}, 0, time.Now()); err != nil {
		t.Errorf("a request cannot be verified: %v", err)
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("User-Agent") == "" {
		t.Errorf("%s, headers %v", r.Method, r.Header)
	}
	var batch struct{ Events []event }
	if err := json.Unmarshal(body, &batch); err != nil {
		t.Errorf("a body is not JSON: %v", err)
	}
	return request{time.Now(), r.Header, body, batch.Events}
}

// A fake is a backend without a network. Its answer may wait, and look at the requests so far, of which its own is the last.
type fake struct {
	t      testing.TB
	answer func(r *http.Request, n int) (*http.Response, error) // n counts from 0

	mu       sync.Mutex
	requests []request
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	got := readRequest(f.t, r)
	f.mu.Lock()
	f.requests = append(f.requests, got)
	n := len(f.requests) - 1
	f.mu.Unlock()
	return f.answer(r, n)
}

func (f *fake) got() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clip(f.requests)
}

// reply makes a response; headers are "Name: value".
func reply(status int, body string, headers ...string) (*http.Response, error) {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r, nil
}

func statusOf(status int, headers ...string) func(*http.Request, int) (*http.Response, error) {
	return func(*http.Request, int) (*http.Response, error) { return reply(status, "", headers...) }
}

// hang waits as a backend does that says nothing.
func hang(r *http.Request, _ int) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func newSender(t testing.TB, c webhook.Config) *webhook.Sender {
	t.Helper()
	if c.Log == nil {
		c.Log = testLog(t)
	}
	for i := range c.Endpoints {
		if c.Endpoints[i].URL == "" {
			c.Endpoints[i].URL = "http://backend/hook"
		}
		if c.Endpoints[i].Secrets == nil {
			c.Endpoints[i].Secrets = []string{secret}
		}
	}
	s, err := webhook.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(s) })
	return s
}

// closeNow closes a sender whatever is queued.
func closeNow(s *webhook.Sender) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return s.Close(ctx)
}

// flush closes a sender when all is delivered.
func flush(t testing.TB, s *webhook.Sender) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// numbered is the n-th event of a test.
func numbered(n int) webhook.Event {
	return webhook.Event{Type: "subscribed", ID: fmt.Sprint(n), Data: about{Client: "c", Channel: "news"}}
}

// send sends events numbered from 0.
func send(t testing.TB, s *webhook.Sender, n int) {
	t.Helper()
	for i := range n {
		if !s.Send(numbered(i)) {
			t.Fatalf("event %d is not taken", i)
		}
	}
}

// ids are those of the events of requests, in order.
func ids(requests []request) []string {
	var all []string
	for _, r := range requests {
		for _, e := range r.events {
			all = append(all, e.ID)
		}
	}
	return all
}

// upTo gives the ids of the first n numbered events.
func upTo(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// site is a backend on the network. Each request is put into got before it is answered.
func site(t testing.TB, got chan<- request, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- readRequest(t, r)
		if answer != nil {
			answer(w, r)
		}
	}))
	s.Config.ErrorLog = slog.NewLogLogger(testLog(t).Handler(), slog.LevelInfo)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// logged is a log that a test reads.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logged) count(text string) int { return strings.Count(l.String(), text) }

// until waits for what nothing tells of.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("waited for %s", what)
		}
	}
}

// What is asked and told is the business of whoever asks and tells.
type (
	about struct {
		Channel string          `json:"channel"`
		Client  string          `json:"client"`
		User    string          `json:"user,omitempty"`
		Message json.RawMessage `json:"message,omitempty"`
	}
	rpcQuestion struct {
		Client, Method string
		Data           json.RawMessage
	}
	rpcAnswer       struct{ Data json.RawMessage }
	connectQuestion struct{ Client, Token string }
	connectAnswer   struct {
		User     string
		Info     json.RawMessage
		Channels []string
		Expires  float64
	}
)
