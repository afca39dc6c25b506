package redisadapter

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// notices tells of the same thing once a minute, with how often it was meanwhile.
type notices struct {
	logger  *slog.Logger
	onError func(error)

	mu   sync.Mutex
	told map[string]*notice
}

type notice struct {
	at    time.Time
	times int
}

func newNotices(logger *slog.Logger, onError func(error)) *notices {
	return &notices{logger: logger, onError: onError, told: map[string]*notice{}}
}

// warn is for a few different messages.
func (n *notices) warn(message string, err error) {
	n.mu.Lock()
	told := n.told[message]
	if told == nil {
		told = new(notice)
		n.told[message] = told
	}
	told.times++
	now, times := time.Now(), told.times
	due := told.at.IsZero() || now.Sub(told.at) >= time.Minute
	if due {
		told.at, told.times = now, 0
	}
	n.mu.Unlock()
	if !due {
		return
	}
	n.logger.Warn(message, "error", err, "times", times)
	if n.onError != nil {
		n.onError(fmt.Errorf("%s: %w", message, err))
	}
}

// state is whether something works. It tells of changes.
type state struct {
	notices *notices
	what    string

	mu    sync.Mutex
	wrong error
	told  bool // that it does not
}

// set notes what is wrong; nil: nothing.
func (s *state) set(err error) {
	s.mu.Lock()
	gone, back := err != nil && !s.told, err == nil && s.told
	s.wrong, s.told = err, err != nil
	s.mu.Unlock()
	switch {
	case gone:
		s.notices.warn("redisadapter: Redis is away: "+s.what, err)
	case back:
		s.notices.logger.Info("redisadapter: Redis is back: no longer: " + s.what)
	}
}

func (s *state) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}
