package clusteradapter

import (
	"log/slog"
	"sync"
	"time"
)

// logger tells of the same thing once a minute, with how often it was meanwhile.
type logger struct {
	to *slog.Logger

	mu   sync.Mutex
	told map[string]*telling
}

type telling struct {
	at    time.Time
	since int
}

// warn is for a few different messages.
func (l *logger) warn(message string, args ...any) {
	l.mu.Lock()
	now := time.Now()
	t := l.told[message]
	if t == nil {
		if l.told == nil {
			l.told = map[string]*telling{}
		}
		t = &telling{}
		l.told[message] = t
	}
	t.since++
	if !t.at.IsZero() && now.Sub(t.at) < time.Minute {
		l.mu.Unlock()
		return
	}
	times := t.since
	t.at, t.since = now, 0
	l.mu.Unlock()
	l.to.Warn(message, append(args, "times", times)...)
}
