package socketio_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"baro.dev/engineio"
	"baro.dev/socketio"
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

// Whoever breaks the protocol is logged once, with what was wrong, at a level that nobody can fill the log at.
func TestViolationsAreLoggedOnce(t *testing.T) {
	log := make(recorder, 100)
	o := &socketio.Options{MaxNamespaces: 1}
	o.Engine.Logger = slog.New(log)
	io, url := start(t, o)
	io.Of("/a")
	for _, test := range []struct {
		message, reason string
		send            []string
	}{
		{"client closed", "parse error", []string{"0", `2["e"`, `2["e"`, "7"}},
		{"client closed", "parse error", []string{"0", `511-["e"]`}},
		{"client closed", "parse error", []string{"0", "3[]", "3[]"}},
		{"client closed", "parse error", []string{"0", "b:x", "b:x"}},
		{"client closed", "forced server close", []string{"0", "0"}},
		{"client closed", "forced server close", []string{"0", "0/a"}},
		{"client closed", "forced server close", []string{`2/a,["e"]`, `2/a,["e"]`}},
		{"client closed", "forced server close", []string{"0", `4{"message":"x"}`}},
	} {
		t.Run(fmt.Sprint(test.send), func(t *testing.T) {
			p := dial(t, url)
			p.send(test.send...)
			for {
				if _, err := p.read(); err != nil {
					break
				}
			}
			eventually(t, "the client is gone", func() bool { return io.ClientsCount() == 0 && io.Len() == 0 })
			l := got(t, log)
			if l.level != slog.LevelDebug || l.message != test.message || l.attrs["reason"] != test.reason ||
				l.attrs["error"] == "" || !strings.HasPrefix(l.attrs["remote"], "127.0.0.1:") {
				t.Errorf("%+v", l)
			}
			if len(log) > 0 {
				t.Errorf("logged twice: %+v", <-log)
			}
		})
	}
}

// A panic of a handler is logged with its stack. It costs the client its socket, and nobody else anything.
func TestPanicsAreLogged(t *testing.T) {
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprint("Inline ", inline), func(t *testing.T) {
			log := make(recorder, 100)
			o := &socketio.Options{Engine: engineio.Options{Inline: inline, Logger: slog.New(log)}}
			io, url := start(t, o)
			synced(io)
			neighbour := join(t, url, "0")
			io.Of("/middleware").Use(func(*socketio.Socket) error { return brokenHandler() })
			io.Of("/connection").OnConnection(func(*socketio.Socket) { _ = brokenHandler() })
			n := io.Of("/events")
			n.On("event", func(*socketio.Event) { _ = brokenHandler() })
			socketio.On(n, "typed", func(context.Context, int) (int, error) { return 0, brokenHandler() })
			n.On("answer", func(e *socketio.Event) {
				_ = e.Socket().EmitFunc("?", func(socketio.Args, error) { _ = brokenHandler() })
			})
			n.On("outgoing", func(e *socketio.Event) {
				e.Socket().OnAnyOutgoing(func(*socketio.Event) { _ = brokenHandler() })
				_ = e.Socket().Emit("x")
			})
			io.Of("/disconnect").OnDisconnect(func(*socketio.Socket, socketio.Reason) { _ = brokenHandler() })
			io.Of("/any").OnAny(func(*socketio.Event) { _ = brokenHandler() })
			for _, send := range [][]string{
				{"0/middleware"}, {"0/connection"}, {"0/any", `2/any,["e"]`}, {"0/events", `2/events,["event"]`}, {"0/events", `2/events,0["typed",1]`},
				{"0/events", `2/events,["answer"]`, "3/events,0[]"}, {"0/events", `2/events,["outgoing"]`}, {"0/disconnect", "1/disconnect"},
			} {
				p := dial(t, url)
				p.send("0")
				p.sid()
				for _, m := range send {
					for m[0] == '3' && !strings.HasSuffix(p.recv(), `["?"]`) { // it answers what it has been asked
					}
					p.send(m)
				}
				l := got(t, log)
				if l.level != slog.LevelError || !strings.HasSuffix(l.message, " panicked") || l.attrs["panic"] != "broken" ||
					!strings.Contains(l.attrs["stack"], "brokenHandler") {
					t.Errorf("%v: %+v", send, l)
				}
				p.send(`2987654["sync?"]`) // the client keeps its other socket
				for !strings.HasPrefix(p.recv(), "3987654") {
				}
				p.close()
			}
			neighbour.sync()
			if len(log) > 0 {
				t.Errorf("logged besides: %+v", <-log)
			}
		})
	}
}

// brokenHandler is what the stack has to show.
func brokenHandler() error {
	if runtime.NumCPU() > 0 {
		panic("broken")
	}
	return nil
}

// A panic of Options.Context is one of a handler, too.
func TestPanicInContext(t *testing.T) {
	log := make(recorder, 10)
	o := &socketio.Options{Context: func(*http.Request) context.Context {
		return context.WithValue(context.Background(), userKey{}, brokenHandler())
	}}
	o.Engine.Logger = slog.New(log)
	io, url := start(t, o)
	p := dial(t, url)
	p.ended()
	if l := got(t, log); l.level != slog.LevelError || !strings.Contains(l.attrs["stack"], "brokenHandler") {
		t.Errorf("%+v", l)
	}
	eventually(t, "the client is gone", func() bool { return io.ClientsCount() == 0 })
	if len(log) > 0 {
		t.Errorf("logged besides: %+v", <-log)
	}
}
