package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// from sends a request from an address.
func (s *Server) from(remote, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.RemoteAddr = remote
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// TestWrongKeys has somebody guess keys, and tokens: soon nothing is looked at any more that comes from there, and the answer says
// when to come back. Backends elsewhere do not notice, and neither do those of the one kind that the other is guessed.
func TestWrongKeys(t *testing.T) {
	config := withTokens(t)
	config.MaxFailures = 3
	s, as := startAPI(t, config)
	right, user := as("all").key, token(t, "kim", time.Hour, nil)
	const guesser, other = "192.0.2.1:1", "192.0.2.2:1"
	info := func(remote, key string) *httptest.ResponseRecorder {
		return s.from(remote, "GET", "/api/v1/info", "", "X-API-Key", key)
	}
	post := func(remote, key string) *httptest.ResponseRecorder {
		return s.from(remote, "POST", "/c/a", "x", "Authorization", "Bearer "+key)
	}
	poll := func(remote, token string) *httptest.ResponseRecorder {
		return s.from(remote, "GET", "/c/@kim", "", "Authorization", "Bearer "+token)
	}
	for i, w := range []*httptest.ResponseRecorder{info(guesser, "baro_a_b"), post(guesser, right+"x"), info(guesser, "nonsense")} {
		if w.Code != 401 || strings.Contains(w.Body.String(), "signature") {
			t.Errorf("%d: %d, %s", i, w.Code, w.Body)
		}
	}
	limited := func(what string, w *httptest.ResponseRecorder) {
		t.Helper()
		if after := w.Header().Get("Retry-After"); w.Code != 429 || !strings.Contains(w.Body.String(), "rate_limited") || after == "" || after == "0" {
			t.Errorf("%s: %d, %v, %s", what, w.Code, w.Header(), w.Body)
		}
	}
	limited("a wrong key", info(guesser, "baro_a_b"))
	limited("the right one", info(guesser, right))
	limited("to publish", post(guesser, right))
	for _, w := range []*httptest.ResponseRecorder{info(other, right), post(other, right), info("127.0.0.1:1", right), poll(guesser, user)} {
		if w.Code != 200 {
			t.Errorf("%d, %s", w.Code, w.Body)
		}
	}
	for range 3 {
		if w := poll(guesser, user+"x"); w.Code != 401 {
			t.Errorf("%d, %s", w.Code, w.Body)
		}
	}
	limited("tokens", poll(guesser, user))
	if w := poll(other, user); w.Code != 200 {
		t.Errorf("%d, %s", w.Code, w.Body)
	}
}

// TestNotAKey has the one kind of secret be shown where the other is wanted.
func TestNotAKey(t *testing.T) {
	s, as := startAPI(t, withTokens(t))
	key := as("all").key
	for _, accept := range []string{typeJSON, typeSSE, typeNDJSON} {
		a, text := request(t, "GET", s.url("/c/a"), "", "Accept", accept, "Authorization", "Bearer "+key)
		wantError(t, a, text, 401, "unauthorized")
		if !strings.Contains(text, "is an API key") {
			t.Error(text)
		}
	}
	if _, text := request(t, "GET", s.url("/c/a?access_token="+key), ""); !strings.Contains(text, "is an API key") {
		t.Error(text)
	}
	overBoth(t, func(t *testing.T, transport string) {
		if _, err := dialTalk(t, s, transport, key); err == nil || !strings.Contains(err.Error(), "is an API key") {
			t.Error(err)
		}
	})
}

// TestDevKey has a backend that is configured with a key be used on one's own machine, where there are none.
func TestDevKey(t *testing.T) {
	var log bytes.Buffer
	s, err := New(Config{Dev: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, header := range [][]string{{"X-API-Key", "baro_a_b"}, {"Authorization", "Bearer baro_a_b"}} {
		if w := s.from("127.0.0.1:1", "GET", "http://localhost/api/v1/info", "", header...); w.Code != 200 {
			t.Errorf("%d, %s", w.Code, w.Body)
		}
		if w := s.from("127.0.0.1:1", "POST", "http://localhost/c/a", "x", header...); w.Code != 200 {
			t.Errorf("%d, %s", w.Code, w.Body)
		}
	}
	if n := strings.Count(log.String(), "API key"); n != 1 {
		t.Errorf("it is said %d times: %s", n, &log)
	}
	// Neither does a key help a page that pretends to be of this machine.
	if w := s.from("127.0.0.1:1", "GET", "http://evil.example/api/v1/info", "", "X-API-Key", "baro_a_b"); w.Code != 403 {
		t.Errorf("%d, %s", w.Code, w.Body)
	}
}
