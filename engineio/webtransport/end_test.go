package webtransport_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"baro.dev/engineio"
)

// Each side can end a session, and what it sent before arrives.
func TestEnds(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{OnMessage: func(*engineio.Session, engineio.Message) { panic("the handler's") }})
	tests := map[string]struct {
		end    func(c *client, s *engineio.Session)
		reason engineio.Reason
		drains bool
	}{
		"Close":            {func(_ *client, s *engineio.Session) { s.Close() }, engineio.ForcedClose, true},
		"CloseNow":         {func(_ *client, s *engineio.Session) { s.CloseNow() }, engineio.ForcedClose, false},
		"client's session": {func(c *client, _ *engineio.Session) { _ = c.session.CloseWithError(0, "") }, engineio.TransportClose, false},
		"client's stream":  {func(c *client, _ *engineio.Session) { _ = c.stream.Close() }, engineio.TransportClose, true},
		"reset":            {func(c *client, _ *engineio.Session) { c.stream.CancelWrite(7) }, engineio.TransportClose, false},
		"stop sending":     {func(c *client, s *engineio.Session) { c.stream.CancelRead(7); trickle(s) }, engineio.TransportClose, false},
		"does not read":    {func(_ *client, s *engineio.Session) { flood(s) }, engineio.TransportError, false},
		"a panic":          {func(c *client, _ *engineio.Session) { c.send("4panic") }, engineio.ForcedClose, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := h.begin(t)
			s := within(t, "OnOpen", h.opened)
			large := strings.Repeat("x", 300_000)
			if tt.drains {
				if err := s.Send(engineio.Message{Data: []byte(large)}, engineio.Message{Data: []byte("last")}); err != nil {
					t.Fatal(err)
				}
			}
			tt.end(c, s)
			if err := within(t, "OnClose", h.closed); err.Reason != tt.reason {
				t.Error(err)
			}
			if tt.drains {
				c.expect("4"+large, "4last")
			}
			if name != "client's session" {
				c.ended()
			}
			if err := s.Send(engineio.Message{}); !errors.Is(err, engineio.ErrClosed) {
				t.Error(err)
			}
		})
	}
}

// trickle sends until that fails.
func trickle(s *engineio.Session) {
	for s.Send(engineio.Message{Data: []byte("x")}) == nil {
		time.Sleep(time.Millisecond) // nothing tells when the client's word has come
	}
}

// flood sends more than may wait.
func flood(s *engineio.Session) {
	for s.Send(engineio.Message{Data: make([]byte, 100_000)}) == nil {
	}
}

func TestShutdown(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{})
	c := h.begin(t)
	s := within(t, "OnOpen", h.opened)
	silent := h.connect(t)
	large := strings.Repeat("x", 500_000)
	if err := s.Send(engineio.Message{Data: []byte(large)}); err != nil {
		t.Fatal(err)
	}
	down := make(chan error, 1)
	go func() {
		down <- errors.Join(h.engine.Shutdown(t.Context()), h.Shutdown(t.Context()))
	}()
	c.expect("4" + large)
	if err := within(t, "Shutdown", down); err != nil {
		t.Error(err)
	}
	if err := within(t, "OnClose", h.closed); err.Reason != engineio.ServerClose {
		t.Error(err)
	}
	c.ended()
	silent.ended()
}
