package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// logged is a log in JSON, read line by line.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(l.text.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m["msg"] == message {
			found = append(found, m)
		}
	}
	return found
}

// Each refusal is explained in one line, which says who was refused what, and why; secrets are not in it.
func TestRefusalsAreTold(t *testing.T) {
	const secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	for _, test := range []struct {
		name   string
		path   string
		header []string
		reason string
		also   map[string]any
	}{
		{"a page of another origin", "c/a", []string{"Origin", "https://elsewhere.example"}, "origin_not_allowed", map[string]any{"origin": "https://elsewhere.example", "setting": "--allow-origin", "status": 403.0}},
		{"a path that is nothing", "nothing", nil,
			"not_found", map[string]any{"url": "/nothing", "method": "GET", "status": 404.0}},
		{"an old WebSocket", "c/a", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "8", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}, "bad_handshake", map[string]any{"status": 426.0}},
		{"an old Socket.IO", "socket.io/?EIO=2&transport=polling", nil, "socketio_unsupported_protocol_version", map[string]any{"status": 400.0}},
		{"a token that is none of ours", "c/a?access_token=" + secret, nil, "unauthorized", map[string]any{"url": "/c/a?access_token=REDACTED", "status": 401.0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log logged
			s := start(t, Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
			request(t, "GET", s.URLs()[0]+test.path, "", test.header...)
			eventually(t, "it is told", func() bool { return len(log.lines(t, "refused")) > 0 }) // a WebSocket's after the answer
			lines := log.lines(t, "refused")
			if len(lines) != 1 {
				t.Fatalf("%d lines: %s", len(lines), &log.text)
			}
			line := lines[0]
			if line["reason"] != test.reason || line["remote"] == "" || line["conn"] != 1.0 || line["why"] == "" || line["level"] != "INFO" {
				t.Errorf("told as %v", line)
			}
			for key, value := range test.also {
				if line[key] != value {
					t.Errorf("%s is %v, wanted %v", key, line[key], value)
				}
			}
			if strings.Contains(log.text.String(), secret) {
				t.Errorf("a secret is in %s", &log.text)
			}
		})
	}
}

// Who is refused by the first frame is told of as well.
func TestRefusedClientIsTold(t *testing.T) {
	var log logged
	s := start(t, Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	c, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URLs()[0], "http")+"ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), ws.Text, []byte(`{"id":1,"connect":{"token":"wrong"}}`)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = c.Read(t.Context())
	}
	lines := log.lines(t, "refused")
	if len(lines) != 1 || lines[0]["reason"] != "unauthorized" || lines[0]["transport"] != "ws" || lines[0]["remote"] == "" {
		t.Errorf("told as %v", lines)
	}
}

// However much clients do, the log gets a few lines a second of each kind, and the number of the rest.
func TestLogIsNotFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		x := teller{log: slog.New(slog.NewJSONHandler(&log, nil))}
		for range 1000 {
			x.tell(context.Background(), "a", "refused", slog.String("reason", "a"))
		}
		x.tell(context.Background(), "b", "refused", slog.String("reason", "b"))
		if n := len(log.lines(t, "refused")); n != maxTold+1 {
			t.Errorf("%d lines", n)
		}
		time.Sleep(time.Second)
		x.tell(context.Background(), "a", "refused")
		lines := log.lines(t, "refused")
		if last := lines[len(lines)-1]; len(lines) != maxTold+2 || last["untold"] != 1000.0-maxTold {
			t.Errorf("%d lines, the last of them %v", len(lines), last)
		}
	})
}
