package server

import (
	"time"

	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// endRate is why a connection ends that was too fast for too long.
var endRate = clients.Reason{Number: 4005, Code: clients.ErrRate.Code, Text: "more messages than the server reads of one connection"}

const (
	// paceBurst is how many seconds of its rate a connection may send at a time, after a pause.
	paceBurst = 2
	// maxPaceWait is how long one message may have to wait: one that is longer than the rate permits in that time costs no more.
	maxPaceWait = 10 * time.Second
)

// paces are the rates of one connection, a second. 0: no bound.
type paces struct {
	messages, bytes float64
}

func (p *paces) on() bool { return p.messages > 0 || p.bytes > 0 }

// pace is how fast a connection has been, for which handlers run one after another.
type pace struct {
	messages, bytes float64   // that it may still send; of bytes it may owe some
	last            time.Time // when that was so
	late            time.Time // since when it had to wait for every message; zero: it had not
}

// take counts a message, and says how long it has to wait.
func (p *pace) take(now time.Time, rates *paces, size int) time.Duration {
	passed := paceBurst * time.Second.Seconds()
	if !p.last.IsZero() {
		passed = now.Sub(p.last).Seconds()
	}
	p.last = now
	wait := max(refill(&p.messages, rates.messages, passed, 1), refill(&p.bytes, rates.bytes, passed, float64(size)))
	return time.Duration(wait * float64(time.Second))
}

// refill adds what has come in passed seconds, takes cost away, and says after how many seconds the debt is paid.
func refill(left *float64, rate, passed, cost float64) (seconds float64) {
	if rate == 0 {
		*left = 0
		return 0
	}
	*left = min(*left+passed*rate, paceBurst*rate)
	*left = max(*left-cost, -rate*maxPaceWait.Seconds())
	return max(0, -*left/rate)
}

// keepSocketPace is keepPace for a message over WebSocket. *p is what it says with the first one.
func (s *Server) keepSocketPace(p **pace, c *ws.Socket, size int) (ok bool) {
	if !s.paces.Load().on() {
		return true
	}
	if *p == nil {
		*p = new(pace)
	}
	c.Pause() // what comes meanwhile stays where it is
	defer c.Resume()
	return s.keepPace(*p, size, c.Done())
}

// tooFast tells that a client is cut that does not keep its pace.
func (s *Server) tooFast(c *clients.Client) {
	h := clients.Hello{}
	if c != nil { // else it has yet to connect
		k := c.Connection()
		h = clients.Hello{Transport: k.Transport, Remote: k.Remote}
	}
	s.refusedClient(&h, clients.ErrRate)
}

// keepPace has the handler of a message wait until its connection may go on, which stops reading from it. ended is closed when the
// connection is; nil: that is of no interest. ok is false for one that was too fast for so long that nobody could tell whether it is
// still there: as for one that is silent, that is a heartbeat and a write timeout.
func (s *Server) keepPace(p *pace, size int, ended <-chan struct{}) (ok bool) {
	now := time.Now()
	wait := p.take(now, s.paces.Load(), size)
	if wait <= 0 {
		p.late = time.Time{}
		return true
	}
	if p.late.IsZero() {
		p.late = now
	} else if now.Sub(p.late) > s.config.Heartbeat+s.config.WriteTimeout {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ended:
	case <-s.draining.Done():
	}
	return true
}
