//go:build linux

package eventloop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/internal/testkit"
)

// callbacks are the methods of a Handler in which things can be done.
var callbacks = []string{"Attend", "Ready", "Again", "Expire", "Flush", "Drain"}

// set has f called by that method.
func (p *probe) set(method string, f func()) {
	switch method {
	case "Attend":
		p.onAtt = f
	case "Ready":
		p.onReady = func(_, _, _ bool) { f() }
	case "Again": // it comes after Ready, in the same turn
		calls := 0
		p.onReady = func(_, _, _ bool) {
			if calls++; calls == 2 {
				f()
			}
		}
	case "Expire":
		p.onTimer = f
	case "Flush":
		p.onFlush = f
	case "Drain":
		p.onDrain = f
	}
}

// provoke has everything happen to all at once, as far as that is possible, after a call of arm on their loop: their peers
// write, they are posted, dirty, to be read again, their timers are due, and the group is closed.
func provoke(t *testing.T, g *eventloop.Group, all []*pair, arm func()) {
	t.Helper()
	for _, p := range all {
		p.do(func() {})
	}
	stopped, resumed := make(chan struct{}), make(chan struct{})
	all[0].post(func() {
		arm()
		for _, p := range all {
			p.Dirty()
			p.Again()
			p.SetTimer(p.Loop().Now())
		}
		close(stopped)
		<-resumed
	})
	<-stopped
	for _, p := range all {
		p.send(t, "x")
		p.Conn.Attend()
	}
	time.Sleep(2 * eventloop.TimerTick) // their time comes
	g.Close()
	close(resumed)
}

// Whatever callback closes a connection, or all others: what is closed hears no more than Attend. What is opened there and
// then, and gets the same descriptors, hears nothing that was meant for others.
func TestCloseInEachCallback(t *testing.T) {
	const peers = 20
	for _, method := range callbacks {
		for _, who := range []string{"itself", "the others", "all", "all and starts others", "all and opens others"} {
			t.Run(method+"/"+who, func(t *testing.T) {
				testkit.NoLeaks(t)
				g := newGroup(1)
				var all []*pair
				closed := map[*pair]bool{} // the loop's
				for i := range peers {
					p := start(t, g, nil)
					if i%2 == 0 { // in the place of another
						heir := newProbe(p.fd)
						old := &p.Conn
						p.do(func() { heir.Replace(old, heir) })
						t.Cleanup(func() { heir.do(heir.Close) })
						p = &pair{probe: heir, peer: p.peer}
					}
					all = append(all, p)
				}
				left, opened := make(chan struct{}, peers), make(chan struct{})
				shut := func(p *pair) {
					if !closed[p] {
						closed[p] = true
						p.Close()
						p.onAtt = nil
						p.onReady = func(_, _, _ bool) { t.Error("Ready after Close") }
						p.onFlush = func() { t.Error("Flush after Close") }
						p.onTimer = func() { t.Error("Expire after Close") }
						p.onDrain = func() { t.Error("Drain after Close") }
						left <- struct{}{}
					}
				}
				var fresh []*pair
				same := 0
				provoke(t, g, all, func() {
					for _, p := range all {
						p.set(method, func() {
							for _, q := range all {
								if (q == p) == (who == "itself") || who[0] == 'a' {
									shut(q)
								}
							}
							if strings.HasPrefix(who, "all and") && fresh == nil {
								fresh, same = reopen(t, g, all, who == "all and opens others")
								close(opened)
							}
						})
					}
				})
				expected := peers
				if who == "the others" {
					expected--
				}
				for range expected {
					soon(t, left)
				}
				if strings.HasPrefix(who, "all and") {
					<-opened
					if same == 0 {
						t.Error("no descriptor has been used again")
					}
					checkFresh(t, fresh)
				}
			})
		}
	}
}

// reopen opens connections within a callback, right here or by Start, and reports how many have got a descriptor of those
// that were closed.
func reopen(t *testing.T, g *eventloop.Group, closed []*pair, here bool) (fresh []*pair, same int) {
	had := map[int]bool{}
	for _, p := range closed {
		had[p.fd] = true
	}
	for range closed {
		p := openUnix(t)
		if had[p.fd] {
			same++
		}
		p.onReady = func(readable, hungUp, writable bool) {
			t.Errorf("a new connection is told of what was meant for another: %v, %v, %v", readable, hungUp, writable)
		}
		p.onTimer = func() { t.Error("a new connection's timer has fired, and it has set none") }
		p.onFlush = func() { t.Error("a new connection is flushed") }
		if !here {
			p.join(t, g)
		} else if err := g.Open(closed[0].Loop(), &p.Conn, p, p.fd); err != nil {
			t.Error(err)
		}
		fresh = append(fresh, p)
	}
	return fresh, same
}

// checkFresh checks that new connections work.
func checkFresh(t *testing.T, fresh []*pair) {
	t.Helper()
	got := make(chan string, len(fresh))
	for i, p := range fresh {
		p.do(func() {
			ready := p.onReady
			p.onReady = func(_, _, _ bool) {
				if ready != nil {
					ready = nil
					s, _ := p.drain()
					got <- s
				}
			}
		})
		p.send(t, fmt.Sprint(i))
		if s := soon(t, got); s != fmt.Sprint(i) {
			t.Errorf("connection %d has received %q", i, s)
		}
		p.do(p.Close)
	}
}

// A connection may be closed before the loop has seen it, and another one opened with its descriptor.
func TestCloseOfWhatIsNew(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		s.Pause()
		p, _ := startSim(t, s, g)
		s.Run()
		var far *eventlooptest.Socket
		next := newProbe(-1)
		var fresh *probe
		p.post(func() {
			fresh.Close()
			far = s.Open()
			if next.fd = far.Fd(); next.fd != fresh.fd {
				t.Error("the descriptor is another one")
			}
			if err := g.Open(p.Loop(), &next.Conn, next, next.fd); err != nil {
				t.Error(err)
			}
		})
		fresh, _ = startSim(t, s, g) // posted behind
		fresh.onReady = func(_, _, _ bool) { t.Error("Ready after Close") }
		s.Run()
		heard := false
		next.onReady = func(readable, _, _ bool) { heard = readable }
		far.Feed([]byte("x"))
		s.Run()
		if !heard {
			t.Error("the one with the same descriptor hears nothing")
		}
		onLoop(s, p, func() { p.Close(); next.Close() })
		s.Resume()
	})
}

// A connection may be closed twice.
func TestCloseTwice(t *testing.T) {
	testkit.NoLeaks(t)
	g := newGroup(1)
	p, other := start(t, g, nil), start(t, g, nil)
	p.do(func() {
		p.Close()
		q := openUnix(t) // has its descriptor
		q.join(t, g)
		p.Close()
		if n, errno := q.Write([]byte("x"), nil); n != 1 {
			t.Errorf("another's descriptor was closed: %v", errno)
		}
		q.Close()
	})
	other.do(func() {})
}
