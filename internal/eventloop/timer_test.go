//go:build linux

package eventloop_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/internal/testkit"
)

// simulated runs test in a bubble of time with a group of n loops over a simulated system, all of which must have ended when
// test returns.
func simulated(t *testing.T, n int, test func(t *testing.T, s *eventlooptest.System, g *eventloop.Group)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := eventlooptest.New()
		g := eventloop.NewGroup(n, s.NewKernel, func(*eventloop.Loop) {})
		test(t, s, g)
		g.Close()
		synctest.Wait()
		if s.Kernels() != 0 || s.Opened() != 0 || s.Misuse() != 0 {
			t.Errorf("%d kernels and %d sockets are left; descriptors that were not open were used %d times", s.Kernels(), s.Opened(), s.Misuse())
		}
	})
}

// startSim is start over a simulated system. The test closes it.
func startSim(t *testing.T, s *eventlooptest.System, g *eventloop.Group) (*probe, *eventlooptest.Socket) {
	t.Helper()
	far := s.Open()
	p := newProbe(far.Fd())
	if err := g.Join(&p.Conn, p, p.fd); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p, far
}

// A timer fires once, not before its time and no more than a tick after it, while the loop waits for nothing else.
func TestTimerIsPrecise(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		p, _ := startSim(t, s, g)
		fired := make(chan time.Duration, 10)
		began := time.Now()
		p.onTimer = func() { fired <- time.Since(began) }
		for _, wait := range []time.Duration{
			0, -time.Hour, 1, time.Millisecond, eventloop.TimerTick - 1, eventloop.TimerTick, eventloop.TimerTick + 1, 33 * time.Millisecond,
			time.Second, 20 * time.Second, // about a revolution of the wheel
			21 * time.Second, 2 * time.Hour,
		} {
			var at time.Duration
			p.do(func() {
				// The loop has begun with the connection, at the same moment of the bubble's time.
				at = p.Loop().Now() + wait
				p.SetTimer(at)
			})
			got := <-fired
			if got < at || got > max(at, at-wait)+eventloop.TimerTick {
				t.Errorf("set for %v, %v ahead, it fired at %v", at, wait, got)
			}
		}
		time.Sleep(48 * time.Hour)
		if len(fired) > 0 {
			t.Error("a timer has fired twice")
		}
		p.do(p.Close)
	})
}

// A timer that is set again fires at the new time only, be it earlier or later; one that is stopped, or whose connection
// is closed, never.
func TestTimerIsSetAgain(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		const ms = time.Millisecond
		for _, tt := range []struct {
			name string
			set  func(p *probe, now time.Duration)
			want time.Duration // 0: never
		}{
			{"later", func(p *probe, now time.Duration) { p.SetTimer(now + 20*ms); p.SetTimer(now + 100*ms) }, 100 * ms},
			{"earlier", func(p *probe, now time.Duration) { p.SetTimer(now + 100*ms); p.SetTimer(now + 20*ms) }, 20 * ms},
			{"later and earlier", func(p *probe, now time.Duration) {
				p.SetTimer(now + 50*ms)
				p.SetTimer(now + 100*ms)
				p.SetTimer(now + 60*ms)
			}, 60 * ms},
			{"much earlier", func(p *probe, now time.Duration) { p.SetTimer(now + time.Hour); p.SetTimer(now + 5*ms) }, 5 * ms},
			{"stopped", func(p *probe, now time.Duration) { p.SetTimer(now + 20*ms); p.StopTimer() }, 0},
			{"stopped and set", func(p *probe, now time.Duration) {
				p.SetTimer(now + 20*ms)
				p.StopTimer()
				p.StopTimer()
				p.SetTimer(now + 40*ms)
			}, 40 * ms},
			{"closed", func(p *probe, now time.Duration) { p.SetTimer(now + 20*ms); p.Close() }, 0},
			{"closed and set", func(p *probe, now time.Duration) { p.Close(); p.SetTimer(now + 20*ms) }, 0},
		} {
			p, _ := startSim(t, s, g)
			fired := make(chan time.Duration, 10)
			var began time.Time
			p.onTimer = func() { fired <- time.Since(began) }
			p.do(func() {
				began = time.Now()
				tt.set(p, p.Loop().Now())
			})
			time.Sleep(2 * time.Hour)
			switch {
			case tt.want == 0 && len(fired) > 0:
				t.Errorf("%s: it fired", tt.name)
			case tt.want > 0 && len(fired) != 1:
				t.Errorf("%s: it fired %d times", tt.name, len(fired))
			case tt.want > 0:
				if got := <-fired; got < tt.want || got > tt.want+eventloop.TimerTick {
					t.Errorf("%s: it fired after %v, want %v", tt.name, got, tt.want)
				}
			}
			p.do(p.Close)
		}
	})
}

// A timer that sets itself again goes on, and others may be set and stopped by it.
func TestTimerFromExpire(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		p, _ := startSim(t, s, g)
		q, _ := startSim(t, s, g)
		q.onTimer = func() { t.Error("a timer that is moved away all the time has fired") }
		beats := 0
		done := make(chan struct{})
		p.onTimer = func() {
			now := p.Loop().Now()
			if beats++; beats == 1000 {
				q.StopTimer()
				close(done)
				return
			}
			p.SetTimer(now + 10*time.Millisecond)
			q.SetTimer(now + 15*time.Millisecond)
		}
		began := time.Now()
		p.do(func() { p.SetTimer(p.Loop().Now() + 10*time.Millisecond) })
		<-done
		if took := time.Since(began); took < 10*time.Second || took > 10*time.Second+1000*eventloop.TimerTick {
			t.Errorf("a thousand times 10 ms take %v", took)
		}
		p.do(func() { p.Close(); q.Close() })
	})
}

// What a timer has flushed or read again is done at once, though nothing else happens.
func TestWorkFromExpire(t *testing.T) {
	simulated(t, 1, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		p, _ := startSim(t, s, g)
		did := map[string]time.Duration{}
		began := time.Now()
		p.onFlush = func() { did["Flush"] = time.Since(began) }
		p.do(func() {
			clear(did) // Start's
			p.onTimer = func() { p.Dirty(); p.Again() }
			p.onReady = func(_, _, _ bool) { did["Ready"] = time.Since(began) }
			p.SetTimer(p.Loop().Now() + 10*time.Millisecond)
		})
		time.Sleep(time.Hour)
		p.do(func() {
			for _, what := range []string{"Flush", "Ready"} {
				if at, ok := did[what]; !ok || at > 15*time.Millisecond {
					t.Errorf("%s is called after %v, %v", what, at, ok)
				}
			}
			p.Close()
		})
	})
}

// On a real kernel timers are as precise: while the loop is parked, while it has other things to do all the time, and while it
// lets others run in each turn.
func TestTimerOfARealLoop(t *testing.T) {
	for _, name := range []string{"parked", "busy", "yielding"} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			g := newGroup(1)
			busy := start(t, g, nil)
			busy.do(func() {
				busy.onReady = func(_, _, _ bool) {
					busy.Again()
					if name == "yielding" {
						busy.Loop().Yield()
					}
				}
				if name != "parked" {
					busy.Again()
				}
			})
			p := start(t, g, nil)
			fired := make(chan time.Duration, 1)
			best := time.Hour
			// The machine may be busy as well: not every time can be good.
			for range 50 {
				var at time.Duration
				var set time.Time
				p.do(func() {
					p.onTimer = func() { fired <- p.Loop().Now() }
					at = p.Loop().Now() + 20*time.Millisecond
					set = time.Now()
					p.SetTimer(at)
				})
				got := soon(t, fired)
				if got < at {
					t.Errorf("set for %v it fired at %v", at, got)
				}
				if best = min(best, time.Since(set)-20*time.Millisecond); best <= 2*eventloop.TimerTick {
					return
				}
			}
			t.Errorf("at best a timer is %v late", best)
		})
	}
}

// Very many timers, set at random: each fires at its time.
func TestManyTimers(t *testing.T) {
	simulated(t, 2, func(t *testing.T, s *eventlooptest.System, g *eventloop.Group) {
		rng := rand.New(rand.NewPCG(1, 2))
		var all []*probe
		for range 2000 {
			p, _ := startSim(t, s, g)
			var due time.Time
			p.onTimer = func() {
				if late := time.Since(due); late < 0 || late > 2*eventloop.TimerTick {
					t.Errorf("a timer fires %v late", late)
				}
				due = time.Time{}
			}
			p.do(func() {
				for range 1 + rng.IntN(3) {
					wait := time.Duration(rng.Int64N(int64(40 * time.Second)))
					due = time.Now().Add(wait)
					p.SetTimer(p.Loop().Now() + wait)
				}
			})
			all = append(all, p)
			if rng.IntN(10) == 0 {
				time.Sleep(time.Duration(rng.Int64N(int64(50 * time.Millisecond))))
			}
		}
		time.Sleep(time.Minute)
		for _, p := range all {
			p.do(p.Close)
		}
	})
}
