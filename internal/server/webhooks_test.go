package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/webhook"
)

const webhookSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// told is an event, or a question, as a backend gets it.
type told struct {
	Type string
	Data struct {
		Client, User, Channel, Transport, Reason, Method, Token string
		Message                                                 struct{ Data string }
		Headers                                                 map[string]string
		Data                                                    json.RawMessage
	}
	Events []told
}

// newBackend is a backend that hands the events it is told to a channel, and has answer answer questions; nil: none are asked.
func newBackend(t *testing.T, answer func(http.ResponseWriter, *http.Request, told)) (url string, events <-chan told) {
	t.Helper()
	all := make(chan told, 1000)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = webhook.Verify(r.Header, body, []string{webhookSecret}, 0, time.Now())
		}
		var message told
		if err == nil {
			err = json.Unmarshal(body, &message)
		}
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		for _, e := range message.Events {
			all <- e
		}
		if message.Events == nil {
			answer(w, r, message)
		}
	}))
	t.Cleanup(backend.Close)
	return backend.URL, all
}

func endpoint(url string, types ...string) webhook.Endpoint {
	return webhook.Endpoint{URL: url, Secrets: []string{webhookSecret}, Types: types, BatchDelay: time.Millisecond}
}

// hangs answers nothing until the client has gone, or the test has ended.
func hangs(t *testing.T) func(http.ResponseWriter, *http.Request, told) {
	return func(_ http.ResponseWriter, r *http.Request, _ told) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

func next(t *testing.T, events <-chan told) told {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(time.Minute):
		t.Fatal("the backend is told nothing")
		return told{}
	}
}

func TestWebhookEvents(t *testing.T) {
	url, events := newBackend(t, nil)
	rooms, occupancy := newBackend(t, nil)
	only := endpoint(rooms, clients.TypeOccupied, clients.TypeVacated)
	only.Wants = func(name string) bool { return name == "rooms/1" }
	s := start(t, Config{Webhooks: Webhooks{Events: webhook.Config{Endpoints: []webhook.Endpoint{endpoint(url), only}}}})

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for _, name := range []string{"news", "rooms/1"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url("/c/"+name), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", typeNDJSON)
		response, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var seen []string
		for range 2 {
			e := next(t, events)
			seen = append(seen, e.Type)
			if e.Type == clients.TypeConnected && (e.Data.Client == "" || e.Data.Transport != "ndjson") ||
				e.Type == clients.TypeOccupied && e.Data.Channel != name {
				t.Errorf("%+v", e)
			}
		}
		if all := strings.Join(seen, " "); all != "connected occupied" && all != "occupied connected" {
			t.Errorf("the backend is told %s", all)
		}
	}
	if response, body := request(t, http.MethodPost, s.url("/c/rooms/1"), "안녕"); response.StatusCode/100 != 2 {
		t.Fatalf("status %d, %s", response.StatusCode, body)
	}
	if e := next(t, events); e.Type != clients.TypePublished || e.Data.Channel != "rooms/1" || e.Data.Message.Data != "안녕" {
		t.Errorf("%+v", e)
	}
	leave()
	seen := map[string]int{}
	for range 4 {
		seen[next(t, events).Type]++
	}
	if seen[clients.TypeVacated] != 2 || seen[clients.TypeDisconnected] != 2 {
		t.Errorf("the backend is told %v", seen)
	}
	for _, want := range []string{clients.TypeOccupied, clients.TypeVacated} {
		if e := next(t, occupancy); e.Type != want || e.Data.Channel != "rooms/1" {
			t.Errorf("%+v", e)
		}
	}
}

// A backend that does not answer delays no client; when the server stops, it waits for the backend as long as it may.
func TestWebhookHangs(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		hangs(t)(nil, r, told{})
	}))
	t.Cleanup(silent.Close)
	e := endpoint(silent.URL)
	e.Timeout = time.Hour
	url, events := newBackend(t, nil)
	s := start(t, Config{Webhooks: Webhooks{Events: webhook.Config{Endpoints: []webhook.Endpoint{e, endpoint(url, clients.TypePublished)}}}})
	for range 300 {
		publishText(t, s, "news", "x")
	}
	for range 3 {
		request(t, http.MethodPost, s.url("/c/news"), "x")
		next(t, events)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil || ctx.Err() == nil {
		t.Errorf("Shutdown: %v, before its time was over: %v", err, ctx.Err() == nil)
	}
}

// What happened before the server stopped the backend is told.
func TestWebhookShutdown(t *testing.T) {
	url, events := newBackend(t, nil)
	e := endpoint(url, clients.TypePublished)
	e.BatchDelay = time.Hour
	s := start(t, Config{Webhooks: Webhooks{Events: webhook.Config{Endpoints: []webhook.Endpoint{e}}}})
	request(t, http.MethodPost, s.url("/c/news"), "x")
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 {
		t.Errorf("%d events at the end", len(events))
	}
}

func asker(url string) *webhook.AskerConfig {
	return &webhook.AskerConfig{URL: url, Secrets: []string{webhookSecret}, Timeout: time.Hour}
}

// A client without a token that is verified here is whom the backend says.
func TestConnectQuestion(t *testing.T) {
	hang := hangs(t)
	hung := make(chan struct{}, 1)
	url, _ := newBackend(t, func(w http.ResponseWriter, r *http.Request, q told) {
		switch {
		case q.Type != clients.KindConnect || q.Data.Client == "" || q.Data.Transport == "":
			t.Errorf("%+v", q)
		case q.Data.Token == "banned":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"code":"banned","message":"Come back on Monday."}}`)
		case q.Data.Token == "hang":
			hung <- struct{}{}
			hang(w, r, q)
		case q.Data.Token == "large":
			_, _ = io.WriteString(w, `{"user":"`+strings.Repeat("x", 10<<20)+`"}`)
		case q.Data.Token == "wrong":
			_, _ = io.WriteString(w, `{"user":"ana","rights":{"subscribe":["***"]}}`)
		case q.Data.Token == "late":
			_, _ = io.WriteString(w, `{"user":"ana","expires":-1}`)
		case q.Data.Headers["X-Tenant"] == "acme" && q.Data.Headers["X-Other"] == "":
			_, _ = io.WriteString(w, `{"user":"ana","rights":{"publish":["rooms/*"],"subscribe":["rooms/*"],"history":["rooms/*"]},"expires":99999999999.5}`)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	})
	key, err := auth.SecretKey([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	pattern, err := channel.ParsePattern("open")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Webhooks: Webhooks{Connect: asker(url), ConnectHeaders: []string{"X-Tenant"}},
		Rules:    []Rule{{Pattern: pattern, Access: clients.Rule{Subscribe: clients.Anyone, Publish: clients.Users}}},
	}
	failures := make(chan slog.Record, 100)
	config.Log = slog.New(errorLog{slog.DiscardHandler, failures})
	s := start(t, config)
	config.Auth = &auth.Config{Keys: []auth.Key{key}}
	verifies := start(t, config)

	get := func(s *Server, name string, header ...string) (answer, string) {
		t.Helper()
		return request(t, http.MethodGet, s.url("/c/"+name), "", header...)
	}
	if response, body := get(s, "open"); response.StatusCode != http.StatusOK {
		t.Errorf("nobody in particular: %d, %s", response.StatusCode, body)
	}
	response, body := get(s, "rooms/1")
	wantError(t, response, body, http.StatusUnauthorized, "unauthorized")
	ana := []string{"X-Tenant", "acme", "X-Other", "x"}
	if response, body := get(s, "rooms/1", ana...); response.StatusCode != http.StatusOK {
		t.Errorf("what the backend permits: %d, %s", response.StatusCode, body)
	}
	response, body = get(s, "rooms/1/2", ana...)
	wantError(t, response, body, http.StatusForbidden, "forbidden")
	if response, body = request(t, http.MethodPost, s.url("/c/rooms/1"), "x", ana...); response.StatusCode/100 != 2 {
		t.Errorf("what the backend permits: %d, %s", response.StatusCode, body)
	}
	if _, body = get(s, "rooms/1", ana...); !strings.Contains(body, `"user":"ana"`) {
		t.Errorf("the message says %s", body)
	}
	response, body = get(s, "open", "Authorization", "Bearer banned")
	wantError(t, response, body, http.StatusForbidden, "banned")
	if !strings.Contains(body, "Come back on Monday.") {
		t.Errorf("the refusal is %s", body)
	}
	for _, token := range []string{"large", "wrong", "late"} {
		response, body = get(s, "open", "Authorization", "Bearer "+token)
		wantError(t, response, body, http.StatusBadGateway, "backend_unavailable")
	}

	// One who waits for the backend does not hold up those who need not, nor those whom it answers.
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		r, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.url("/c/open"), nil)
		r.Header.Set("Authorization", "Bearer hang")
		if response, err := client(t).Do(r); err == nil {
			response.Body.Close()
		}
	}()
	<-hung
	if response, body := get(s, "open"); response.StatusCode != http.StatusOK {
		t.Errorf("beside one who waits: %d, %s", response.StatusCode, body)
	}
	signing, err := auth.ParseSigningKey([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Mint(signing, auth.Claims{User: "kim", Expires: time.Now().Add(time.Hour), Subscribe: []string{"**"}})
	if err != nil {
		t.Fatal(err)
	}
	if response, body := get(verifies, "any", "Authorization", "Bearer "+token); response.StatusCode != http.StatusOK {
		t.Errorf("with a token that is verified here: %d, %s", response.StatusCode, body)
	}
	cancel()
	<-waiting
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(failures) > 0 { // whoever leaves is none
		t.Errorf("the log has %+v", <-failures)
	}
}

// errorLog collects what is logged as an error.
type errorLog struct {
	slog.Handler
	errors chan<- slog.Record
}

func (errorLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (l errorLog) Handle(_ context.Context, r slog.Record) error {
	l.errors <- r
	return nil
}

func (l errorLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// A question that the backend does not answer in time is answered by the server.
func TestConnectQuestionTimesOut(t *testing.T) {
	url, _ := newBackend(t, hangs(t))
	a := asker(url)
	a.Timeout = 100 * time.Millisecond
	s := start(t, Config{Webhooks: Webhooks{Connect: a}})
	response, body := request(t, http.MethodGet, s.url("/c/open"), "")
	wantError(t, response, body, http.StatusBadGateway, "backend_unavailable")
}

func TestWebhookMistakes(t *testing.T) {
	for name, w := range map[string]Webhooks{
		"endpoint": {Events: webhook.Config{Endpoints: []webhook.Endpoint{{URL: "x"}}}},
		"connect":  {Connect: &webhook.AskerConfig{URL: "http://x/"}},
		"rpc":      {RPC: &webhook.AskerConfig{URL: "http://x/", Secrets: []string{"x"}}},
	} {
		c := Config{Dev: true, Webhooks: w}
		if err := c.Check(); err == nil {
			t.Errorf("%s: it is right", name)
		}
		if _, err := New(c); err == nil {
			t.Errorf("%s: it is right", name)
		}
	}
}

// Over the transports that carry all of a client: the backend says who it is, and what it is subscribed to; and answers it.
func TestMultiplexedQuestions(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		hang := hangs(t)
		hung := make(chan struct{}, 1)
		url, events := newBackend(t, func(w http.ResponseWriter, r *http.Request, q told) {
			switch q.Type + " " + q.Data.Token + q.Data.Method {
			case "connect ana":
				_, _ = io.WriteString(w, `{"user":"ana","channels":["news"],"rights":{"publish":["rooms/*"]}}`)
			case "connect banned", "rpc refuse":
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `{"error":{"code":"banned","message":"Come back on Monday."}}`)
			case "rpc echo":
				if q.Data.User != "ana" || q.Data.Client == "" {
					t.Errorf("%+v", q.Data)
				}
				_, _ = io.WriteString(w, `{"data":`+string(q.Data.Data)+`}`)
			case "rpc large":
				_, _ = io.WriteString(w, `{"data":"`+strings.Repeat("x", 10<<20)+`"}`)
			case "rpc wrong":
				_, _ = io.WriteString(w, `Hello`)
			case "rpc hang":
				hung <- struct{}{}
				hang(w, r, q)
			default:
				t.Errorf("%+v", q)
			}
		})
		s := start(t, Config{Rules: []Rule{}, Webhooks: Webhooks{
			Connect: asker(url), RPC: asker(url),
			Events: webhook.Config{Endpoints: []webhook.Endpoint{endpoint(url, clients.TypeConnected, clients.TypeSubscribed)}},
		}})
		if _, err := dialTalk(t, s, transport, "banned"); err == nil || !strings.Contains(err.Error(), "banned") || !strings.Contains(err.Error(), "Come back on Monday.") {
			t.Errorf("who is banned is told %v", err)
		}
		ana := mustTalk(t, s, transport, "ana")
		if e := next(t, events); e.Type != clients.TypeConnected || e.Data.User != "ana" {
			t.Errorf("%+v", e)
		}
		if e := next(t, events); e.Type != clients.TypeSubscribed || e.Data.User != "ana" || e.Data.Channel != "news" {
			t.Errorf("%+v", e)
		}
		publishText(t, s, "news", "안녕")
		for h := ana.next(); h.name != "message"; h = ana.next() {
			if h.name == "end" {
				t.Fatal("the connection has ended")
			}
		}
		ana.must("publish", `{"channel":"rooms/1","data":"x"}`, nil)
		ana.refused("forbidden", "publish", `{"channel":"news","data":"x"}`)
		ana.refused("forbidden", "subscribe", `{"channel":"rooms/1"}`)

		waiting := ana.begin("rpc", `{"method":"hang","data":1}`)
		<-hung
		var answer json.RawMessage
		ana.must("rpc", `{"method":"echo","data":{"n":"둘"}}`, &answer)
		if !strings.Contains(string(answer), `{"n":"둘"}`) {
			t.Errorf("the answer is %s", answer)
		}
		if err := ana.ask("rpc", `{"method":"refuse","data":1}`, nil); err == nil || err.Error() != "1510 banned: Come back on Monday." {
			t.Errorf("a refusal is %v", err)
		}
		ana.refused("backend_unavailable", "rpc", `{"method":"large","data":1}`)
		ana.refused("backend_unavailable", "rpc", `{"method":"wrong","data":1}`)
		mustTalk(t, s, transport, "ana").must("rpc", `{"method":"echo","data":{"n":"x"}}`, &answer)
		if len(waiting) > 0 {
			t.Errorf("a question that hangs is answered with %s", <-waiting)
		}
	})
}
