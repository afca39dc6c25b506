package client

import (
	"context"
	"errors"
	"slices"

	"baro.dev/engineio/internal/payload"
)

var errProbe = errors.New("the answer to the probe is another")

// targets are the transports that the session may go over to, the best first.
func (s *Session) targets() (all []string) {
	if s.set.NoUpgrade || s.transport != Polling {
		return nil
	}
	for _, t := range []string{WebTransport, WebSocket} {
		if slices.Contains(s.upgrades, t) && slices.Contains(s.set.Transports, t) && (t != WebTransport || s.set.base.Scheme == "https") {
			all = append(all, t)
		}
	}
	return all
}

// upgrade tries the targets. With one that works the session goes over as soon as the poll that is under way has been answered;
// without, it stays where it is.
func (s *Session) upgrade(targets []string) {
	for _, target := range targets {
		l, err := s.probe(target)
		if err != nil {
			continue
		}
		s.mu.Lock()
		old, ended := s.link, s.closing || s.ctx.Err() != nil
		if !ended {
			s.next, s.heir, s.paused = l, target, true
			s.settle()
		}
		s.mu.Unlock()
		if ended {
			l.cut()
			return
		}
		old.(*polling).pause()
		return
	}
}

// probe opens a link for the session, and asks over it whether it works.
func (s *Session) probe(target string) (link, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.set.Timeout)
	defer cancel()
	l, err := s.set.dial(ctx, target, s.id)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, l.cut)
	err = l.write(ctx, []payload.Packet{{Type: payload.Ping, Data: []byte("probe")}})
	if err == nil {
		var p payload.Packet
		if p, err = l.open(ctx); err == nil && (p.Type != payload.Pong || string(p.Data) != "probe") {
			err = errProbe
		}
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.cut()
		return nil, err
	}
	return l, nil
}

// stay gives up an upgrade that waits for the poll under way: it may be a handler of that poll which closes the session, and the
// poll does not end before it does. The caller holds mu.
func (s *Session) stay() {
	if s.next != nil {
		go s.next.cut()
		s.next, s.paused = nil, false
		s.pump()
	}
}

// goOver has the session use the link that waits for it, and returns it; nil if there is none.
func (s *Session) goOver() link {
	s.mu.Lock()
	l, old := s.next, s.link
	if l == nil || s.ctx.Err() != nil {
		s.mu.Unlock()
		<-s.ctx.Done() // an upgrade was given up for Close, which is at work
		return nil
	}
	s.next, s.link, s.transport = nil, l, s.heir
	s.mu.Unlock()
	old.cut()
	if err := l.write(s.ctx, []payload.Packet{{Type: payload.Upgrade}}); err != nil {
		s.cancel(err)
	}
	s.mu.Lock()
	s.paused = false
	s.pump()
	s.quiet.Broadcast()
	s.mu.Unlock()
	if f := s.set.OnUpgrade; f != nil && s.ctx.Err() == nil {
		f(s, s.heir)
	}
	return l
}
