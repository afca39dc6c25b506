package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxLogBytes is how much of the log may wait to be written.
	maxLogBytes = 1 << 20
	// logEnd is how long the end of the log is waited for, when the command ends.
	logEnd = time.Second
)

// logWriter is a log whose reader may be slow, or gone, and whose disk full: nobody waits for it, and what it cannot take is counted. A
// goroutine writes. All methods may be called from any goroutine.
type logWriter struct {
	to    io.Writer
	own   slog.Handler // of what it has to say itself, without waiting. Set before there is anything to write
	wake  chan struct{}
	ended chan struct{} // closed when everything has been written

	mu      sync.Mutex
	waiting []byte
	lines   int // in waiting
	lost    int // lines
	closed  bool
}

func newLogWriter(to io.Writer) *logWriter {
	w := &logWriter{to: to, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write takes a line. There is no error that anybody could do anything about.
func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	if w.closed || len(w.waiting)+len(line) > maxLogBytes {
		w.lost++
	} else {
		w.waiting = append(w.waiting, line...)
		w.lines++
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

func (w *logWriter) run() {
	defer close(w.ended)
	var spare []byte
	for range w.wake {
		w.mu.Lock()
		lines, n, closed := w.waiting, w.lines, w.closed
		w.waiting, w.lines = spare[:0], 0
		w.mu.Unlock()
		if len(lines) > 0 {
			if _, err := w.to.Write(lines); err != nil {
				w.mu.Lock()
				w.lost += n
				w.mu.Unlock()
			} else {
				w.confess()
			}
		}
		spare = lines
		if closed {
			return
		}
	}
}

// confess says what was lost, when something could be written.
func (w *logWriter) confess() {
	w.mu.Lock()
	lost := w.lost
	w.lost = 0
	w.mu.Unlock()
	if lost == 0 || w.own == nil {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "the log could not be written: lines are missing", 0)
	r.Add("lines", lost)
	if w.own.Handle(context.Background(), r) != nil {
		w.mu.Lock()
		w.lost += lost
		w.mu.Unlock()
	}
}

// Close waits for the last lines, for a while. What comes later is lost.
func (w *logWriter) Close() {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if again {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	timer := time.NewTimer(logEnd)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
	}
}
