package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// until runs a command whose standard error is read line by line until f is told what it wanted; then the command is stopped.
func until(t *testing.T, f func(line string) bool, args ...string) {
	t.Helper()
	r, w, err := os.Pipe() // which has room for what nobody reads while f runs
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		root := newRoot()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		root.SetErr(w)
		_, err := root.ExecuteContextC(ctx)
		w.Close()
		ended <- err
	}()
	lines := new(bytes.Buffer)
	for buf := make([]byte, 4096); ; {
		n, err := r.Read(buf)
		lines.Write(buf[:n])
		for {
			line, rest, ok := strings.Cut(lines.String(), "\n")
			if !ok {
				break
			}
			lines.Reset()
			lines.WriteString(rest)
			if f(line) {
				stop()
			}
		}
		if err != nil {
			break
		}
	}
	stop()
	if err := testkit.Within(t, "the end", ended); exit.Code(err) != exit.Interrupted {
		t.Errorf("%q: %v", args, err)
	}
}

// One bridge listens, another reaches it from standard input, each by its flags.
func TestBridge(t *testing.T) {
	target := testkit.Serve(t, func(c net.Conn) {
		text, _ := io.ReadAll(c)
		_, _ = c.Write(bytes.ToUpper(text))
	})
	file := testkit.WriteFile(t, t.TempDir(), "bearer", []byte("geheim\n"))
	until(t, func(line string) bool {
		_, addr, ok := strings.Cut(line, "address=")
		if !ok {
			return false
		}
		url := "ws://" + addr
		for _, c := range []struct {
			args []string
			out  string
			code int
		}{
			{[]string{"--token", "geheim"}, "HELLO", exit.OK},
			{[]string{"--token", "other"}, "", exit.Refused},
		} {
			root := newRoot()
			root.SetIn(strings.NewReader("hello"))
			var out, errs bytes.Buffer
			code := execute(root, append([]string{"bridge", "-l", "stdio", "-t", url, "--proxy", "none"}, c.args...), &out, &errs)
			if code != c.code || out.String() != c.out || strings.Contains(errs.String(), "geheim") {
				t.Errorf("%q: %d, %q, %q", c.args, code, &out, &errs)
			}
		}
		return true
	}, "bridge", "-l", "ws://127.0.0.1:0", "-t", fmt.Sprintf("tcp://%s", target), "--bearer-file", file)
}
