//go:build linux

package eventloop_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
)

// actor is a connection of a trial: a Handler that does what its random generator says, and what it must have seen.
type actor struct {
	eventloop.Conn
	trial *trial
	rng   *rand.Rand
	far   *eventlooptest.Socket
	name  string

	fed, got   []byte // what the peer has sent, and what has been read of it
	out        []byte // what is yet to be written
	sent, seen []byte // what has been written, and what the peer has of it
	ended      bool   // by the peer, or reset
	over       bool   // the end has been read

	started, closed bool
	posted          atomic.Int64 // calls of Conn.Attend
	heard           int64        // how many of them the last Attend came after
	readable        bool         // there may be something to be read
	blocked         bool         // a write did not find room
	dirty           int          // turns that have yet to end with a Flush
	again           bool
	due             time.Duration // of the timer, since the trial began; 0: none
}

// called checks that a method of the Handler may be called.
func (a *actor) called(method string) {
	if a.closed || !a.started {
		a.trial.failf("%s: %s is called, started %v, closed %v", a.name, method, a.started, a.closed)
	}
}

func (a *actor) Ready(readable, hungUp, writable bool) {
	a.called("Ready")
	if hungUp && !a.ended {
		a.trial.failf("%s: hung up, and its peer is there", a.name)
	}
	a.readable = a.readable || readable
	if writable {
		a.blocked = false
	}
	a.again = false
	a.act()
}

func (a *actor) Attend() {
	a.heard = a.posted.Load()
	if !a.closed {
		a.started = true
		a.act()
	}
}

func (a *actor) Flush() {
	a.called("Flush")
	if a.dirty--; a.dirty != 0 {
		a.trial.failf("%s: flushed %d times too often", a.name, -a.dirty)
	}
	a.write()
	a.act()
}

func (a *actor) Expire() {
	a.called("Expire")
	now := time.Since(a.trial.began)
	if a.due == 0 || now < a.due || now > a.due+2*eventloop.TimerTick {
		a.trial.failf("%s: its timer, due at %v, fires at %v", a.name, a.due, now)
	}
	a.due = 0
	a.act()
}

func (a *actor) Drain() {
	a.called("Drain")
	a.leave()
}

// act does something or other, as handlers do.
func (a *actor) act() {
	if a.closed {
		return
	}
	if a.trial.quiet {
		a.read(1 << 20)
		a.write()
		return
	}
	for range a.rng.IntN(3) {
		switch a.rng.IntN(14) {
		case 0, 1, 2, 3:
			a.read(1 + a.rng.IntN(60))
		case 4, 5:
			if !a.again && a.readable {
				a.again = true
				a.Again()
			}
		case 6, 7:
			a.out = append(a.out, fmt.Sprintf("%s.%d,", a.name, len(a.sent)+len(a.out))...)
			a.write()
		case 8:
			a.Dirty()
			a.Dirty()
			a.dirty = 1
		case 9, 10:
			wait := time.Duration(a.rng.Int64N(int64(30 * time.Second)))
			if a.rng.IntN(2) == 0 {
				wait /= 1000
			}
			// The loop's time may be some turns old, and began with the loop.
			a.due = time.Since(a.trial.began) + wait
			a.SetTimer(a.Loop().Now() + wait + a.lag())
		case 11:
			a.due = 0
			a.StopTimer()
		case 12:
			a.posted.Add(1)
			a.Conn.Attend()
		case 13:
			if a.rng.IntN(6) == 0 {
				a.leave()
				return
			}
		}
	}
}

// lag is by how much the loop's time is behind.
func (a *actor) lag() time.Duration {
	began := a.Loop().Local.(time.Time)
	return time.Since(began) - a.Loop().Now()
}

func (a *actor) leave() {
	a.closed = true
	a.Conn.Close()
}

func (a *actor) read(size int) {
	b := make([]byte, size)
	for range 1 + a.rng.IntN(2) {
		n, errno := a.Conn.Read(b)
		a.got = append(a.got, b[:n]...)
		switch {
		case errno == syscall.EAGAIN:
			a.readable = false
			return
		case errno != 0 || n == 0:
			if !a.ended {
				a.trial.failf("%s: the end is read too early: %v", a.name, errno)
			}
			a.over, a.readable = true, false
			return
		}
	}
}

func (a *actor) write() {
	for len(a.out) > 0 && !a.blocked {
		cut := a.rng.IntN(len(a.out)) + 1
		n, errno := a.Conn.Write(a.out[:cut], a.out[cut:])
		if errno == syscall.EAGAIN {
			a.blocked = true
			a.WatchRoom()
			return
		} else if errno != 0 {
			a.out = nil
			return
		}
		a.sent = append(a.sent, a.out[:n]...)
		a.out = a.out[n:]
	}
}
