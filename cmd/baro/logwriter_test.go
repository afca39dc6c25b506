package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// A slow writer takes nothing until it is told to; then what it is told.
type slowWriter struct {
	mu    sync.Mutex
	gate  chan error
	lines bytes.Buffer
}

func (s *slowWriter) Write(p []byte) (int, error) {
	if err := <-s.gate; err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.Write(p)
}

// Nobody waits for a log that is not read, memory is bounded meanwhile, and the log says what is missing.
func TestLogThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowWriter{gate: make(chan error)}
		w := newLogWriter(s)
		w.own = slog.NewTextHandler(s, nil)
		log := slog.New(slog.NewTextHandler(w, nil))
		const lines = 20_000
		for i := range lines {
			log.Info(strings.Repeat("x", 100), "line", i)
		}
		synctest.Wait()
		if len(w.waiting) > maxLogBytes {
			t.Errorf("%d bytes wait", len(w.waiting))
		}
		close(s.gate)
		w.Close()
		synctest.Wait()
		got := s.lines.String()
		kept := strings.Count(got, "line=")
		if want := fmt.Sprintf("lines=%d", lines-kept); kept < 100 || kept == lines || !strings.Contains(got, "are missing") || !strings.Contains(got, want) {
			t.Errorf("%d lines are there, and the last is %q, want %s", kept, got[len(got)-200:], want)
		}
	})
}

// A full disk, and a reader that has gone, are no reason to stop.
func TestLogThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowWriter{gate: make(chan error, 10)}
		w := newLogWriter(s)
		w.own = slog.NewTextHandler(s, nil)
		log := slog.New(slog.NewTextHandler(w, nil))
		for range 5 {
			s.gate <- errors.New("no space left on device")
			log.Info("lost")
			synctest.Wait()
		}
		close(s.gate)
		log.Info("kept")
		synctest.Wait()
		w.Close()
		if got := s.lines.String(); strings.Count(got, "msg=lost") > 0 || !strings.Contains(got, "msg=kept") || !strings.Contains(got, "lines=5") {
			t.Errorf("the log has %q", got)
		}
	})
}

// The end does not wait for ever, and what comes after it is dropped.
func TestLogThatHangsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowWriter{gate: make(chan error)}
		w := newLogWriter(s)
		fmt.Fprintln(w, "a line")
		w.Close()
		w.Close()
		fmt.Fprintln(w, "too late")
		close(s.gate)
		synctest.Wait()
		if got := s.lines.String(); got != "a line\n" {
			t.Errorf("the log has %q", got)
		}
	})
	w := newLogWriter(io.Discard)
	w.Close()
}
