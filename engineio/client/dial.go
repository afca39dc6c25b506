package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"baro.dev/engineio/internal/payload"
)

var errTimeout = fmt.Errorf("engineio/client: the session could not be opened in time: %w", context.DeadlineExceeded)

// Dial opens a session with the server of a URL: http, https, ws or wss, which say the same but for TLS. options may be nil.
//
// It waits for the answer to the handshake, no longer than ctx and Options.Timeout; afterwards ctx has no effect. Handlers may be
// called before Dial returns. The error is a *RefusedError if the server does not want the session.
func Dial(ctx context.Context, rawURL string, options *Options) (*Session, error) {
	set, err := options.settings(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, set.Timeout, errTimeout)
	defer cancel()
	var failed error
	for _, transport := range set.Transports {
		s, err := dial(ctx, set, transport)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("engineio/client: %s to %s: %w", transport, set.base.Host, context.Cause(ctx))
		}
		failed = errors.Join(failed, err)
		if !set.TryAllTransports || ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

func dial(ctx context.Context, set *settings, transport string) (*Session, error) {
	l, err := set.dial(ctx, transport, "")
	if err != nil {
		return nil, err
	}
	p, err := l.open(ctx)
	if err != nil {
		l.cut()
		return nil, err
	}
	s := &Session{set: set, done: make(chan struct{}), link: l, transport: transport}
	if err := s.take(p); err != nil {
		l.cut()
		return nil, err
	}
	if p, ok := l.(*polling); ok {
		p.sid, p.max = s.id, s.maxPayload
	}
	s.begin()
	return s, nil
}

// take reads the answer to the handshake.
func (s *Session) take(p payload.Packet) error {
	if p.Type != payload.Open || p.Binary {
		return violation("the first packet is a %v", p.Type)
	}
	var opened struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval float64  `json:"pingInterval"`
		PingTimeout  float64  `json:"pingTimeout"`
		MaxPayload   float64  `json:"maxPayload"`
	}
	if err := json.Unmarshal(p.Data, &opened); err != nil {
		return violation("the answer to the handshake: %w", err)
	}
	const day = 24 * 60 * 60 * 1000
	switch {
	case opened.SID == "" || len(opened.SID) > 1<<10:
		return violation("the answer to the handshake: sid has %d bytes", len(opened.SID))
	case !(opened.PingInterval > 0 && opened.PingInterval <= 365*day), !(opened.PingTimeout > 0 && opened.PingTimeout <= 365*day):
		return violation("the answer to the handshake: pingInterval %v and pingTimeout %v", opened.PingInterval, opened.PingTimeout)
	case !(opened.MaxPayload >= 0):
		return violation("the answer to the handshake: maxPayload %v", opened.MaxPayload)
	}
	s.id, s.upgrades = opened.SID, opened.Upgrades
	s.patience = time.Duration((opened.PingInterval + opened.PingTimeout) * float64(time.Millisecond))
	s.maxPayload = int(min(opened.MaxPayload, 1<<40))
	return nil
}
