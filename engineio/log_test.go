package engineio_test

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"baro.dev/engineio"
)

// record is what has been logged.
type record struct {
	level   slog.Level
	message string
	attrs   map[string]string
}

// recorder is a slog.Handler that gives what is logged to a test.
type recorder chan record

func (recorder) Enabled(context.Context, slog.Level) bool { return true }
func (r recorder) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r recorder) WithGroup(string) slog.Handler          { return r }
func (r recorder) Handle(_ context.Context, l slog.Record) error {
	e := record{l.Level, l.Message, map[string]string{}}
	l.Attrs(func(a slog.Attr) bool { e.attrs[a.Key] = a.Value.String(); return true })
	r <- e
	return nil
}

// Whoever breaks the protocol is logged once, whatever else comes.
func TestViolationsAreLoggedOnce(t *testing.T) {
	for name, breaks := range map[string]func(s *site){
		"packet over WebSocket": func(s *site) {
			c, _ := s.connect(4)
			c.send("9", "9", "2")
			_ = c.expectEnd()
		},
		"heartbeat in the wrong direction": func(s *site) {
			c, _ := s.connect(4)
			c.send("2", "2")
			_ = c.expectEnd()
		},
		"payload":  func(s *site) { s.post(4, s.poll(4), "4x\x1e9") },
		"too long": func(s *site) { s.post(4, s.poll(4), "4"+strings.Repeat("x", 1_000_000)) },
		"binary payload": func(s *site) {
			s.do("POST", s.query(4, s.poll(4)), "4x", "Content-Type", "application/octet-stream")
		},
		"two polls": func(s *site) {
			sid := s.poll(4)
			first := s.background(4, sid)
			s.get(4, sid)
			receive(s.t, "the first poll", first)
		},
	} {
		t.Run(name, func(t *testing.T) {
			log := make(recorder, 100)
			e := calm()
			e.Options.Logger = slog.New(log)
			all := ends(e)
			s := open(t, e)
			breaks(s)
			receive(t, "the end", all)
			l := receive(t, "a log", log)
			if l.level != slog.LevelDebug || l.attrs["error"] == "" || l.attrs["remote"] == "" {
				t.Errorf("%+v", l)
			}
			if len(log) > 0 {
				t.Errorf("logged twice: %+v, %+v", l, <-log)
			}
		})
	}
}

// A panic of a handler is logged with its stack, and ends its session only.
func TestPanicsAreLogged(t *testing.T) {
	each(t, func(t *testing.T, transport string, inline bool) {
		log := make(recorder, 100)
		e := calm()
		e.Options.Inline = inline
		e.Options.Logger = slog.New(log)
		e.OnMessage = func(*engineio.Session, engineio.Message) { brokenHandler() }
		all := ends(e)
		s := open(t, e)
		send, _, _ := s.sender(transport)
		_ = send("4x", "4y")
		err := expectReason(t, all, engineio.ForcedClose)
		l := receive(t, "a log", log)
		if l.level != slog.LevelError || l.message != "handler panicked" || l.attrs["panic"] != "broken" ||
			!strings.Contains(l.attrs["stack"], "brokenHandler") || !strings.Contains(err.Error(), "broken") {
			t.Errorf("%+v, %v", l, err)
		}
		if len(log) > 0 {
			t.Errorf("logged besides: %+v", <-log)
		}
	})
}

// brokenHandler is what the stack has to show.
func brokenHandler() {
	if runtime.NumCPU() > 0 {
		panic("broken")
	}
}
