package natsadapter

import (
	"log/slog"
	"sync"
	"time"
)

// seldom tells of the same thing once a minute, with how often it was meanwhile.
type seldom struct {
	to *slog.Logger

	mu   sync.Mutex
	told map[string]*telling
}

type telling struct {
	at    time.Time
	since int
}

// warn is for a few different texts.
func (s *seldom) warn(text string, err error) {
	s.mu.Lock()
	now := time.Now()
	t := s.told[text]
	if t == nil {
		if s.told == nil {
			s.told = map[string]*telling{}
		}
		t = &telling{}
		s.told[text] = t
	}
	t.since++
	if !t.at.IsZero() && now.Sub(t.at) < time.Minute {
		s.mu.Unlock()
		return
	}
	times := t.since
	t.at, t.since = now, 0
	s.mu.Unlock()
	s.to.Warn(text, "error", err, "times", times)
}
