package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cli/exit"
)

// rules are the text of a configuration, by which a channel may be published to.
func rules(channel string, more ...string) string {
	return "anonymous: true\nlisten: 127.0.0.1:0\nadmin_listen: \"\"\n" + strings.Join(more, "\n") + `
channels:
  - {pattern: all, access: {subscribe: anyone, publish: anyone, history: anyone}}
  - {pattern: ` + channel + `, access: {publish: anyone}}
`
}

func write(t *testing.T, file, text string) {
	t.Helper()
	// As a whole: what is read is one of them.
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// A hundred HUPs, with files that are right, wrong, and not there, under load, and TERM behind the last: nobody who uses the
// server notices, what is right takes effect, and what is wrong is told.
func TestHangups(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "baro.yml")
	write(t, file, rules("c0"))
	s := startServe(t, nil, "--config", file, "--log-format", "text", "--history-count", "1000000", "--history-bytes", "1GiB")
	url := func() string { return s.url }
	enough := make(chan struct{})
	p := &publishing{reading: reading{url: url, name: "all"}, each: 1 << 30, stop: enough}
	p.off.Store(true)
	published := make(chan error, 1)
	go func() { published <- p.publishHTTP(ctx) }()
	mayPublish := func(name string) bool {
		status, _, _ := postText(t, s.url+"c/"+name, "x")
		return status == http.StatusOK
	}
	for i := 1; i <= 100; i++ {
		switch i % 4 {
		case 1:
			write(t, file, rules(fmt.Sprint("c", i)))
		case 2:
			write(t, file, rules(fmt.Sprint("c", i))+"unknown: 1\n")
		case 3:
			_ = os.Remove(file)
		default:
			write(t, file, rules(fmt.Sprint("c", i), "queue_bytes: 2MiB"))
		}
		if err := s.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if i%10 <= 1 && i%4 <= 1 {
			for name := fmt.Sprint("c", i); !mayPublish(name); pause(ctx, time.Millisecond) {
				if ctx.Err() != nil {
					t.Fatalf("%s does not come", name)
				}
			}
		}
		pause(ctx, time.Millisecond)
	}
	if mayPublish("c97") || mayPublish("c0") {
		t.Error("a rule that is gone is in effect")
	}
	close(enough)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	l := newLedger(1, len(p.acknowledged))
	r := &reading{url: url, name: "all", accept: l.take, after: l.after}
	r.off.Store(true)
	if err := r.run(ctx, transports["SSE"]); err != nil {
		t.Error(err)
	}
	if err := l.check([][]channel.Position{p.acknowledged}); err != nil {
		t.Error(err)
	}
	for range 20 {
		_ = s.Process.Signal(syscall.SIGHUP)
	}
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK {
		t.Errorf("it ends with %d", code)
	}
	log := s.log.String()
	for _, want := range []string{"the configuration was loaded\"", "the configuration is wrong, and was not loaded", `unknown`, "no such file", "keys=queue_bytes"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q: %.2000s", want, log)
		}
	}
	t.Logf("%d messages were published meanwhile", len(p.acknowledged))
}

// A second TERM ends what the first has begun.
func TestStopTwice(t *testing.T) {
	s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--admin-listen", "", "--drain-delay", "1h", "--drain-timeout", "2h")
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for {
		if status, _ := get(t, s.url+"readyz"); status == http.StatusServiceUnavailable {
			break
		}
		pause(t.Context(), time.Millisecond)
	}
	if code := s.stop(t, syscall.SIGTERM); code != exit.Failed || !strings.Contains(s.log.String(), "stopped at once") {
		t.Errorf("it ends with %d, and says %s", code, s.log)
	}
}

// A log that is read no more, like that of baro serve 2>&1 | head -1, or that the disk has no room for, stops nothing.
func TestLogIsGone(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	closed, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	unread, stuck, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	defer stuck.Close()
	for name, log := range map[string]*os.File{"a full disk": full, "nobody reads": pipe, "somebody reads slowly": stuck} {
		c := command(t, "serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "", "--log-level", "debug")
		c.Stderr = log
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill() })
		if log == pipe {
			_ = closed.Close()
		}
		var said strings.Builder
		for !strings.Contains(said.String(), "/\n") {
			b := make([]byte, 1000)
			n, err := out.Read(b)
			if err != nil {
				t.Fatalf("%s: it says %q, %v", name, said.String(), err)
			}
			said.Write(b[:n])
		}
		_ = out.Close() // whoever read what it says has gone, too
		_, url, _ := strings.Cut(said.String(), "Local")
		url, _, _ = strings.Cut(strings.TrimSpace(url), "\n")
		for i := range 300 { // each is some lines of the log, and more than a pipe holds
			response, err := http.Post(url+"c/a", "text/plain", strings.NewReader("x"))
			if err != nil {
				t.Fatalf("%s: request %d: %v", name, i, err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("%s: request %d: status %d", name, i, response.StatusCode)
			}
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("%s: it ends with %v", name, err)
		}
	}
}
