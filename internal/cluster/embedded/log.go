package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// logger has NATS report to slog. It is generous with notices: they are for those who debug. What it warns of again and again is told
// so many times in a while and no more.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time
	lines int
	left  int // lines that were not told
}

const (
	linesFor = time.Minute
	maxLines = 20
)

func (l *logger) Noticef(format string, args ...any) { l.say(slog.LevelDebug, format, args) }
func (l *logger) Debugf(format string, args ...any)  { l.say(slog.LevelDebug, format, args) }
func (l *logger) Tracef(format string, args ...any)  { l.say(slog.LevelDebug, format, args) }
func (l *logger) Warnf(format string, args ...any)   { l.bounded(slog.LevelWarn, format, args) }
func (l *logger) Errorf(format string, args ...any)  { l.bounded(slog.LevelWarn, format, args) }
func (l *logger) Fatalf(format string, args ...any)  { l.say(slog.LevelError, format, args) }

func (l *logger) say(level slog.Level, format string, args []any, attrs ...slog.Attr) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.LogAttrs(ctx, level, "nats", append(attrs, slog.String("said", fmt.Sprintf(format, args...)))...)
	}
}

func (l *logger) bounded(level slog.Level, format string, args []any) {
	l.mu.Lock()
	if time.Since(l.since) > linesFor {
		l.since, l.lines = time.Now(), 0
	}
	if l.lines == maxLines {
		l.left++
		l.mu.Unlock()
		return
	}
	l.lines++
	left := l.left
	l.left = 0
	l.mu.Unlock()
	var attrs []slog.Attr
	if left > 0 {
		attrs = append(attrs, slog.Int("untold", left))
	}
	l.say(level, format, args, attrs...)
}
