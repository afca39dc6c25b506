package channels_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/server"
	"baro.dev/internal/testkit"
)

func TestSubscribe(t *testing.T) {
	s, at := start(t, nil)
	first := publish(t, s, "a", "one", "two", "three")
	publish(t, s, "b", "eins")
	_, none := start(t, func(c *server.Config) { c.Dev = false; c.Anonymous = true })
	closed := httptest.NewServer(nil)
	closed.Close()
	gone := channel.Position{Epoch: "GONE", Offset: 7}
	for name, c := range map[string]struct {
		change func(*channels.Subscriber)
		url    string
		code   int
		out    string
		says   string // an error, or a note
	}{
		"oldest":       {func(s *channels.Subscriber) { s.After = "oldest"; s.Count = 3 }, "", 0, "one\ntwo\nthree\n", ""},
		"history":      {func(s *channels.Subscriber) { s.History = 2; s.Count = 2 }, "", 0, "two\nthree\n", ""},
		"long history": {func(s *channels.Subscriber) { s.History = 9; s.Count = 3 }, "", 0, "one\ntwo\nthree\n", ""},
		"no history": {func(s *channels.Subscriber) {
			s.Channels = []string{"c"}
			s.History = 9
			s.Timeout = 100 * time.Millisecond
		}, "", 0, "", ""},
		"since":     {func(s *channels.Subscriber) { s.Since = time.Hour; s.Count = 3 }, "", 0, "one\ntwo\nthree\n", ""},
		"since now": {func(s *channels.Subscriber) { s.Since = time.Nanosecond; s.Timeout = 100 * time.Millisecond }, "", 0, "", ""},
		"after": {func(s *channels.Subscriber) {
			s.After = channel.Position{Epoch: first.Epoch, Offset: 2}.String()
			s.Count = 1
		}, "", 0, "three\n", ""},
		"a gap":          {func(s *channels.Subscriber) { s.After = gone.String(); s.Timeout = time.Second }, "", 0, `{"channel":"a","gap":{"last":"GONE:7","next":"` + first.String() + `"}}` + "\n", "messages are lost"},
		"too few":        {func(s *channels.Subscriber) { s.After = "oldest"; s.Count = 4; s.Timeout = 200 * time.Millisecond }, "", exit.Unmet, "one\ntwo\nthree\n", "3 of 4"},
		"nobody there":   {func(*channels.Subscriber) {}, closed.URL, exit.Unreachable, "", "refused"},
		"not permitted":  {func(*channels.Subscriber) {}, none.URL.String(), exit.Refused, "", "unauthorized"},
		"no server":      {func(*channels.Subscriber) {}, at.URL.String() + "/x", exit.Refused, "", "not_found"},
		"twice":          {func(s *channels.Subscriber) { s.Channels = []string{"a", "a"} }, "", exit.Usage, "", "twice"},
		"two beginnings": {func(s *channels.Subscriber) { s.After, s.History = "now", 1 }, "", exit.Usage, "", "one of"},
		"no position":    {func(s *channels.Subscriber) { s.After = "yesterday" }, "", exit.Usage, "", "EPOCH:OFFSET"},
		"whose position": {func(s *channels.Subscriber) { s.Channels, s.After = []string{"a", "b"}, "X:1" }, "", exit.Usage, "", "one channel"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, out, notes := subscriber("a")
			c.change(s)
			own := at
			if c.url != "" {
				own = to(t, c.url)
			}
			err := s.Run(soon(t), own, quick(own))
			if exit.Code(err) != c.code || out.String() != c.out {
				t.Errorf("%v (%d), %q", err, exit.Code(err), out)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) || err == nil && !strings.Contains(notes.String(), c.says) {
				t.Errorf("%v, %s: not %s", err, notes, c.says)
			}
		})
	}
}

// Where it was is in a file, from its beginning on: nothing is lost between two runs, and nothing comes twice.
func TestPositions(t *testing.T) {
	s, at := start(t, nil)
	file := filepath.Join(t.TempDir(), "positions")
	one := func(count int) string {
		k, out, notes := subscriber("a", "b")
		k.Positions, k.Count = file, count
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		if count == 0 {
			go func() {
				for { // it is saved, though nothing has come
					if text, err := os.ReadFile(file); err == nil && strings.Count(string(text), ":0") == 2 {
						cancel()
						return
					}
					if ctx.Err() != nil {
						return
					}
					time.Sleep(time.Millisecond) // nobody tells
				}
			}()
		}
		if err := k.Run(ctx, at, quick(at)); err != nil && (count > 0 || !errors.Is(err, context.Canceled)) {
			t.Fatal(err, notes)
		}
		return out.String()
	}
	if got := one(0); got != "" {
		t.Error(got)
	}
	publish(t, s, "a", "one", "two", "three")
	if got := one(2); got != "a\tone\na\ttwo\n" {
		t.Errorf("%q", got)
	}
	if got := one(1); got != "a\tthree\n" {
		t.Errorf("%q", got)
	}
	publish(t, s, "b", "eins")
	if got := one(1); got != "b\teins\n" {
		t.Errorf("%q", got)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}

	for _, text := range []string{"", "{", "[]", "null", `{"a":"7"}`, `{"a":7}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, _, _ := subscriber("a")
		k.Positions = file
		if err := k.Run(soon(t), at, quick(at)); exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The connection breaks: it comes back, and goes on where it was; or it ends, if that was asked for.
func TestComesBack(t *testing.T) {
	testkit.NoLeaks(t)
	s, at := start(t, nil)
	for _, stay := range []bool{true, false} {
		k, out, notes := subscriber("a")
		k.Stay, k.Count = stay, 2
		conns := make(chan net.Conn, 10)
		o := quick(at)
		o.Transports = []client.Transport{client.WebSocket}
		o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				conns <- c
			}
			return c, err
		}
		k.After = "oldest"
		if !stay {
			k.Count = 0
		}
		publish(t, s, "a", "x")
		ended := make(chan error, 1)
		go func() { ended <- k.Run(soon(t), at, o) }()
		<-out.wrote
		_ = testkit.Within(t, "a connection", conns).Close()
		if !stay {
			if err := testkit.Within(t, "the end", ended); exit.Code(err) != exit.Broken {
				t.Errorf("%v (%d)", err, exit.Code(err))
			}
			return
		}
		publish(t, s, "a", "y")
		if err := testkit.Within(t, "the end", ended); err != nil || out.String() != "x\ny\n" || !strings.Contains(notes.String(), "comes back") {
			t.Errorf("%v, %q, %s", err, out, notes)
		}
	}
}

// A program is run for each message; if it fails it ends, and the message comes again the next time.
func TestOnMessage(t *testing.T) {
	program := script(t, `read -r line; [ "$line" = bad ] && { echo no >&2; exit 7; }; echo "$1 $BARO_MESSAGE_EVENT $line"`)
	s, at := start(t, nil)
	if _, err := s.Hub().Publish("a", channel.Message{Data: []byte("good $(id)\n"), Event: "e;id"}); err != nil {
		t.Fatal(err)
	}
	publish(t, s, "a", "bad\n", "better\n")
	file := filepath.Join(t.TempDir(), "positions")
	for range 2 {
		k, out, notes := subscriber("a")
		k.After, k.OnMessage, k.Positions = "oldest", program, file
		err := k.Run(soon(t), at, quick(at))
		if exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(notes.String(), "no\n") {
			t.Errorf("%v, %s", err, notes)
		}
		if got := out.String(); got != "a e;id good $(id)\n" && got != "" {
			t.Errorf("%q", got)
		}
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(text), ":1\"}\n") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestPresence(t *testing.T) {
	_, as := users(t)
	own := as("kim")
	k, out, _ := subscriber("@kim")
	k.Presence = true
	ctx, cancel := context.WithCancel(soon(t))
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx, own, quick(own)) }()
	select {
	case <-out.wrote:
	case err := <-ended:
		t.Fatal(err)
	}
	cancel()
	<-ended
	if !strings.HasPrefix(out.String(), `{"channel":"@kim","presence":"present","users":1,"clients":1,"members":[{"client":`) {
		t.Error(out)
	}
}

// What was sent is harmless on a terminal, and as it is in a pipe.
func TestPrinter(t *testing.T) {
	m := &channel.Message{Data: []byte("\x1b[2J\u202emsg\nnext"), Epoch: "E", Offset: 7, ID: "i", Time: time.UnixMilli(0)}
	b := &channel.Message{Data: []byte{0xff, 0}, Binary: true}
	for want, p := range map[string]channels.Printer{
		"\x1b[2J\u202emsg\nnext\n\xff\x00\n":                                {},
		"\\x1b[2J\\u202emsg\nnext\nff00\n":                                  {Terminal: true},
		"a\\x1b\t\\x1b[2J\\u202emsg\nnext\na\\x1b\tff00\n":                  {Terminal: true, Names: true},
		`{"channel":"a\u001b","offset":7,"epoch":"E","id":"i","time":"1970`: {JSON: true},
	} {
		out := newLog()
		p.Out = out
		if err := errors.Join(p.Message("a\x1b", m), p.Message("a\x1b", b)); err != nil {
			t.Error(err)
		}
		if got := out.String(); got != want && (!p.JSON || !strings.HasPrefix(got, want)) {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}
