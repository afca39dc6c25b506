package interactive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/terminal"
)

// measure keeps the latency in the prompt.
func (s *session) measure(ctx context.Context) error {
	ticker := time.NewTicker(latencyInterval)
	defer ticker.Stop()
	for {
		if _, err := s.ping(ctx); errors.Is(err, connection.ErrNoPing) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-s.fresh:
		case <-s.over:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *session) ping(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	d, err := s.conn.Ping(ctx)
	s.mu.Lock()
	s.latency = d
	if err != nil {
		s.latency = 0
	}
	s.mu.Unlock()
	s.setPrompt()
	return d, err
}

// stateChanged is called by the connection.
func (s *session) stateChanged(state connection.State) {
	s.mu.Lock()
	again := s.began
	if state.Kind != connection.Missed {
		s.state = state.Kind
	}
	if state.Kind != connection.Connected {
		s.latency = 0
	}
	s.mu.Unlock()
	if !again {
		return // the first time; begin tells
	}
	switch state.Kind {
	case connection.Connected:
		text := s.connected(state.Info)
		if state.Recovered {
			text += " Nothing was missed."
		}
		s.notice(text)
		select {
		case s.fresh <- struct{}{}:
		default:
		}
	case connection.Disconnected:
		s.complain(fmt.Errorf("the connection is lost: %w", state.Err))
	case connection.Waiting:
		s.notice(fmt.Sprintf("Attempt %d in %s.", state.Attempt, roundDuration(state.Delay)))
	case connection.Missed:
		s.complain(state.Err)
	}
	s.setPrompt()
}

// setPrompt shows the state and the latency before the line.
func (s *session) setPrompt() {
	s.mu.Lock()
	state, latency, began := s.state, s.latency, s.began
	s.mu.Unlock()
	if !began {
		return
	}
	c := s.o.Colors
	switch {
	case state != connection.Connected:
		s.ui.SetPrompt(c.Paint(terminal.Yellow, "offline>") + " ")
	case latency > 0:
		s.ui.SetPrompt(c.Paint(terminal.Dim, roundDuration(latency)) + c.Paint(terminal.Green, ">") + " ")
	default:
		s.ui.SetPrompt(c.Paint(terminal.Green, ">") + " ")
	}
}
