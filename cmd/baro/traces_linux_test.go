package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"baro.dev/internal/cli/exit"
)

// Traces are sent to the collector that the environment names, as everywhere else, and what is left of them when the server stops.
func TestServeTraces(t *testing.T) {
	var mu sync.Mutex
	var got strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&got, r.Body)
	}))
	defer collector.Close()
	s := serveCommand(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL}, "--listen", "127.0.0.1:0", "--admin-listen", "")
	if status, _, body := postText(t, s.url+"c/demo", "hello"); status != http.StatusOK {
		t.Fatal(body)
	}
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK {
		t.Fatalf("exit code %d: %s", code, s.log)
	}
	mu.Lock()
	defer mu.Unlock()
	if text := got.String(); !strings.Contains(text, `"name":"publish"`) || !strings.Contains(text, `"stringValue":"demo"`) {
		t.Errorf("the collector got %s", text)
	}
}
