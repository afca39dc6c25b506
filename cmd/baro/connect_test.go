package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/ws"
)

// piping runs baro connect with an input.
func piping(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	root := newRoot()
	root.SetIn(strings.NewReader(input))
	var out, notes bytes.Buffer
	code = execute(root, append([]string{"connect", "--proxy", "none"}, args...), &out, &notes)
	return out.String(), notes.String(), code
}

func TestConnect(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for m, err := range c.Messages(r.Context()) {
			if err != nil {
				return
			}
			c.Write(r.Context(), m.Type, m.Data)
		}
	}))
	defer server.Close()
	url := "ws" + server.URL[4:]
	for _, c := range []struct {
		input string
		args  []string
		out   string
		says  string
		code  int
	}{
		{"a\nb\n", []string{url, "--count", "2"}, "a\nb\n", "", exit.OK},
		{"", []string{url, "-m", "a", "--hex", "-m", "ff", "-n1"}, "", "--message 1", exit.Failed},
		{"", []string{url, "-m", "ping", "-e", "^pi", "--stats"}, "ping\n", "sent 1 messages", exit.OK},
		{"", []string{url, "-m", "ping", "-e", "pong", "--timeout", "100ms"}, "ping\n", `no message matched "pong"`, exit.Unmet},
		{"", []string{server.URL[:strings.LastIndexByte(server.URL, ':')] + ":1"}, "", "refused", exit.Unreachable},
		{"", []string{}, "", "one URL", exit.Usage},
		{"", []string{url, "--expect", "("}, "", "--expect", exit.Usage},
		{"", []string{url, "--json", "--hex"}, "", "only one", exit.Usage},
		{"", []string{url, "--http", "3"}, "", "HTTP/3", exit.Usage},
		{"", []string{url, "--protocol", "gopher"}, "", "gopher", exit.Usage},
		{"", []string{url, "--auth", "[]"}, "", "--auth", exit.Usage},
	} {
		out, notes, code := piping(t, c.input, c.args...)
		if out != c.out || code != c.code || !strings.Contains(notes, c.says) {
			t.Errorf("%q: %q, %q (%d); want %q, %q (%d)", c.args, out, notes, code, c.out, c.says, c.code)
		}
	}
}
