package metrics_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/metrics"
)

func newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{Version: "test", State: func() metrics.State { return metrics.State{} }})
}

func exposed(m *metrics.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// Nothing is lost of what is counted by many at once.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	var counting sync.WaitGroup
	for range 8 {
		counting.Go(func() {
			for range 1000 {
				m.Sent(metrics.SSE, 2, 5)
				m.Received(metrics.SSE, 1, 3)
				m.Published(metrics.ByAPI, 1)
			}
		})
	}
	for range 5 {
		exposed(m)
	}
	counting.Wait()
	text := exposed(m)
	for _, want := range []string{
		`baro_sent_messages_total{transport="sse"} 16000`, `baro_sent_bytes_total{transport="sse"} 40000`,
		`baro_received_messages_total{transport="sse"} 8000`, `baro_received_bytes_total{transport="sse"} 24000`,
		`baro_published_total{source="api"} 8000`, `baro_sent_messages_total{transport="ndjson"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
}

// Close codes that the documentation explains are told apart.
func TestCloseCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/ws-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^\| (4\d{3}) \|`).FindAllSubmatch(text, -1)
	if len(codes) < 8 {
		t.Fatalf("there are %d codes", len(codes))
	}
	for _, c := range codes {
		m := newMetrics()
		m.Closed(metrics.Multiplex, string(c[1]))
		if !strings.Contains(exposed(m), fmt.Sprintf("baro_closes_total{code=%q,transport=\"multiplex\"} 1\n", c[1])) {
			t.Errorf("%s is not counted as such", c[1])
		}
	}
}

// What comes with every message allocates nothing.
func TestAllocations(t *testing.T) {
	m := newMetrics()
	now := time.Now()
	for name, count := range map[string]func(){
		"Sent":      func() { m.Sent(metrics.WebSocket, 1, 1) },
		"Received":  func() { m.Received(metrics.WebSocket, 1, 1) },
		"Published": func() { m.Published(metrics.ByHTTP, 1) },
		"Measures":  func() { m.Measures(now) },
		"Delivered": func() { m.Delivered(time.Millisecond) },
		"RoundTrip": func() { m.RoundTrip(metrics.Multiplex, time.Millisecond) },
	} {
		if n := testing.AllocsPerRun(100, count); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// Of messages that come at once one is measured, and a clock that was set back does not end that.
func TestMeasures(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {999 * time.Microsecond, false}, {time.Millisecond, true}, {-time.Hour, true}, {-time.Hour, false}, {2 * time.Millisecond, true}} {
		if got := m.Measures(now.Add(step.after)); got != step.want {
			t.Errorf("after %v: %v", step.after, got)
		}
	}
}

func BenchmarkSent(b *testing.B) {
	m := newMetrics()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			m.Sent(metrics.WebSocket, 1, 100)
		}
	})
}
