package engineio

import (
	"net/http"
	"time"

	"baro.dev/engineio/internal/payload"
	"baro.dev/ws"
)

// probe is a transport that may take over from polling: the client sends a ping with "probe", is answered, stops polling and
// sends an upgrade packet. Session.mu guards it.
type probe struct {
	s      *Session
	link   link // nil before it has been opened
	probed bool // the ping has come
	done   bool // it has taken over, or failed
	timer  *time.Timer
	start  time.Time
}

// nudge is how often a poll that waits is ended while the client wants to stop polling.
const nudge = 100 * time.Millisecond

var (
	errUpgraded  = refuseFor(BadRequest, "the session has been upgraded")
	errUpgrading = refuseFor(BadRequest, "another upgrade is under way")
)

// startProbe begins an upgrade of s, which only one transport at a time can.
func (s *Session) startProbe(transport string) (*probe, *ConnectionError) {
	set := s.server.set
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != open:
		return nil, refuseFor(BadRequest, "the session has ended")
	case s.poll == nil:
		return nil, errUpgraded
	case s.poll.probe != nil:
		return nil, errUpgrading
	case set.NoUpgrades || transport != WebSocket && transport != WebTransport:
		return nil, refuseFor(BadRequest, "the session cannot be upgraded to "+transport)
	}
	p := &probe{s: s, start: time.Now()}
	p.timer = time.AfterFunc(set.UpgradeTimeout, p.tick)
	s.poll.probe = p
	return p, nil
}

// served implements opener.
func (p *probe) served() {
	p.s.mu.Lock()
	failed := p.link == nil
	p.s.mu.Unlock()
	if failed {
		p.fail()
	}
}

// opened implements opener.
func (p *probe) opened(c *ws.Socket, _ *http.Request) {
	c.Data = p
	p.attach(socketLink{c, p.s.format})
}

// attach tells what the transport is.
func (p *probe) attach(l link) {
	p.s.mu.Lock()
	p.link = l
	done := p.done
	p.s.mu.Unlock()
	if done {
		l.cut()
	}
}

// frame implements receiver.
func (p *probe) frame(c *ws.Socket, m ws.Message) { p.message(socketLink{c, p.s.format}, m) }

// message handles what comes before the upgrade, and reports whether it was the last of that.
func (p *probe) message(l link, m ws.Message) (upgraded bool) {
	packet, err := p.s.format.DecodeMessage(m.Data, m.Type == ws.Binary)
	switch {
	case err != nil:
	case packet.Type == payload.Ping && string(packet.Data) == "probe":
		if p.greet() {
			_ = l.send(payload.Packet{Type: payload.Pong, Data: packet.Data}, false)
			return false
		}
	case packet.Type == payload.Upgrade:
		if p.takeOver(l) {
			return true
		}
	}
	p.fail()
	return false
}

// gone implements receiver.
func (p *probe) gone(error) { p.fail() }

// greet notes that the client wants to upgrade. From now on polls do not wait, so that it can stop polling.
func (p *probe) greet() bool {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.done || p.probed || s.state != open {
		return false
	}
	p.probed = true
	p.timer.Reset(nudge)
	return true
}

// tick ends a poll that waits, and in the end gives up.
func (p *probe) tick() {
	s := p.s
	s.mu.Lock()
	if p.done {
		s.mu.Unlock()
		return
	}
	if time.Since(p.start) >= s.server.set.UpgradeTimeout {
		s.mu.Unlock()
		p.fail()
		return
	}
	if s.poll != nil && s.poll.waiting() {
		_ = s.poll.add(payload.Packet{Type: payload.Noop}, false, false)
		s.poll.wake()
	}
	p.timer.Reset(nudge)
	s.mu.Unlock()
}

// takeOver makes l the session's transport. What waits for a poll leaves over it.
func (p *probe) takeOver(l link) bool {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.done || !p.probed || s.state != open || s.poll == nil || s.poll.posting { // a client that upgrades has stopped polling
		return false
	}
	p.done = true
	p.timer.Stop()
	poll := s.poll
	if l, ok := l.(socketLink); ok {
		l.Data = s
	}
	s.poll, s.link = nil, l
	out := poll.out
	poll.out, poll.size, poll.probe = nil, 0, nil
	switch { // nobody is to be left behind
	case poll.get == nil:
	case poll.late:
		close(poll.get)
	default:
		_ = poll.add(payload.Packet{Type: payload.Noop}, false, false)
		poll.wake()
	}
	l.cork()
	for i := range out {
		_ = l.send(out[i].Packet, out[i].uncompressed)
	}
	l.uncork()
	return true
}

// fail gives up. Polling goes on.
func (p *probe) fail() {
	s := p.s
	s.mu.Lock()
	if p.done {
		s.mu.Unlock()
		return
	}
	p.done = true
	p.timer.Stop()
	if s.poll != nil && s.poll.probe == p {
		s.poll.probe = nil
	}
	l := p.link
	s.mu.Unlock()
	if l != nil {
		l.close()
	}
}
