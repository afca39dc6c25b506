package main

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/ws"
)

// The flags of listen do what they say: a program with arguments, over TLS, printed as JSON.
func TestListen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs tr")
	}
	until(t, func(line string) bool {
		_, rest, ok := strings.Cut(line, "Listening on ")
		if !ok {
			return false
		}
		url, _, _ := strings.Cut(rest, " ")
		c, _, err := ws.Dial(t.Context(), url, nil)
		if err != nil {
			t.Error(err)
			return true
		}
		defer c.CloseNow()
		if err := c.Write(t.Context(), ws.Text, []byte("hello -x")); err != nil {
			t.Error(err)
		}
		if m, err := c.Read(t.Context()); err != nil || m.String() != "h-ll- -x" {
			t.Error(m, err)
		}
		return true
	}, "listen", "0", "--quiet", "--exec", "sed", "--", "-u", "s/[eo]/-/g")
	for _, args := range [][]string{
		{"--echo", "--broadcast"}, {"--broadcast", "--exec", "cat"}, {"1", "2"}, {"--exec", "cat", "x", "y"}, {"--", "x"},
		{"host"}, {"--cert", "none"}, {"--exec", "/no/such/program"}, {"--dir", "/no/such/directory"}, {"--allow-origin", "x"}, {"--max-message", "-1"},
	} {
		var errs bytes.Buffer
		if code := run(append([]string{"listen"}, args...), io.Discard, &errs); code != exit.Usage {
			t.Errorf("%q: %d, %s", args, code, &errs)
		}
	}
}
