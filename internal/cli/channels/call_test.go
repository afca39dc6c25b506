package channels_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/channel/client"
	"baro.dev/internal/auth"
	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/server"
)

// users starts a server that knows users by their tokens.
func users(t *testing.T) (*target.Target, func(user string) *target.Target) {
	t.Helper()
	secret := auth.NewSecret()
	key, err := auth.ParseSigningKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	_, at := start(t, func(c *server.Config) { c.Auth = &auth.Config{Keys: []auth.Key{key.Key()}} })
	return at, func(user string) *target.Target {
		token, err := auth.Mint(key, auth.Claims{User: user, Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		own, err := (&target.Options{Proxy: "none", Token: token}).Target(at.URL.String())
		if err != nil {
			t.Fatal(err)
		}
		return own
	}
}

func TestCall(t *testing.T) {
	at, as := users(t)
	asleep := make(chan struct{})
	t.Cleanup(func() { close(asleep) })
	for _, user := range []string{"door-1", "door-2"} {
		own := as(user)
		o := channels.ClientOptions(own, nil)
		o.OnCall = func(_ context.Context, call client.Call) (any, error) {
			switch call.Method {
			case "refuse":
				return nil, &client.Error{Code: "jammed", Message: "the door is jammed"}
			case "sleep":
				<-asleep
			}
			return map[string]any{"by": user, "asked": call.Data}, nil
		}
		c, err := channels.Connect(soon(t), own, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	for name, c := range map[string]struct {
		caller channels.Caller
		code   int
		out    []string
		says   string
	}{
		"one":         {channels.Caller{Users: []string{"door-1"}, Method: "open", Data: json.RawMessage(`{"for": "<5s>"}`)}, 0, []string{`{"asked":{"for":"\u003c5s\u003e"},"by":"door-1"}`}, ""},
		"two":         {channels.Caller{Users: []string{"door-1", "door-2"}, Method: "open"}, 0, []string{`"user":"door-1"`, `"user":"door-2"`}, ""},
		"one is away": {channels.Caller{Users: []string{"door-1", "door-9"}, Method: "open"}, exit.Failed, []string{`"answered"`, `"door-9","error"`}, "1 of 2"},
		"a refusal":   {channels.Caller{Users: []string{"door-1"}, Method: "refuse"}, exit.Failed, nil, "the door is jammed (jammed, 1510)"},
		"no answer":   {channels.Caller{Users: []string{"door-1"}, Method: "sleep", Timeout: 50 * time.Millisecond}, exit.Unmet, nil, "1006"},
		"nobody":      {channels.Caller{Users: []string{"door-9"}, Method: "open"}, exit.Refused, nil, "1509"},
		"held":        {channels.Caller{Users: []string{"door-9"}, Method: "open", Hold: time.Minute}, 0, []string{`"state":"held"`}, ""},
		"no method":   {channels.Caller{Users: []string{"door-1"}}, exit.Usage, nil, "method"},
		"no JSON":     {channels.Caller{Users: []string{"door-1"}, Method: "open", Data: json.RawMessage("{")}, exit.Usage, nil, "JSON"},
		"no one":      {channels.Caller{Method: "open"}, exit.Usage, nil, "nobody"},
		"no client":   {channels.Caller{Clients: []string{"x"}, Method: "open", Envelope: true}, exit.Refused, []string{`{"client":"x","error":{"code":"not_found"`}, "1509"},
	} {
		t.Run(name, func(t *testing.T) {
			out := newLog()
			c.caller.API = api(t, at, "")
			if c.caller.Timeout == 0 {
				c.caller.Timeout = 20 * time.Second
			}
			err := c.caller.Call(soon(t), out)
			if exit.Code(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v (%d)", err, exit.Code(err))
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			slices.SortFunc(lines, func(a, b string) int { return strings.Compare(user(a), user(b)) })
			for i, want := range c.out {
				if i >= len(lines) || !strings.Contains(lines[i], want) {
					t.Errorf("line %d of %q is not %s", i, lines, want)
				}
			}
			if len(c.out) == 0 && out.String() != "" {
				t.Error(out)
			}
		})
	}

	out := newLog()
	own := as("kim")
	c, err := channels.Connect(soon(t), own, channels.ClientOptions(own, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := channels.Ask(soon(t), c, "price", nil, out); exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), "not_offered") {
		t.Error(err)
	}
}

func user(line string) string {
	_, after, _ := strings.Cut(line, `"user":`)
	return after
}

func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell for its programs")
	}
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return name
}

// A program answers calls: in JSON or in words, or by failing.
func TestOnCall(t *testing.T) {
	program := script(t, `case "$1" in json) cat ;; words) echo "opened $BARO_CALL_METHOD" ;; *) echo "jammed" >&2; echo more >&2; exit 3 ;; esac`)
	at, as := users(t)
	ctx, cancel := context.WithCancel(soon(t))
	s, _, notes := subscriber("@door")
	s.OnCall = program
	ended := make(chan error, 1)
	own := as("door")
	go func() { ended <- s.Run(ctx, own, quick(own)) }()
	<-notes.wrote
	for method, want := range map[string]string{"json": "[1, 2]\n", "words": "\"opened words\"\n", "other": "jammed (failed, 1510)"} {
		out := newLog()
		c := channels.Caller{API: api(t, at, ""), Users: []string{"door"}, Method: method, Data: json.RawMessage("[1, 2]"), Timeout: 20 * time.Second}
		if err := c.Call(soon(t), out); err != nil {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "more") {
				t.Errorf("%s: %v", method, err)
			}
		} else if strings.ReplaceAll(out.String(), ", ", ",") != strings.ReplaceAll(want, ", ", ",") {
			t.Errorf("%s: %s", method, out)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
