package load

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/cli/exit"
)

// in runs f in a bubble of time.
func in(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func mustRun(t *testing.T, o Options) *Result {
	t.Helper()
	o.portable = true
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// standing is a server that takes a millisecond for an answer, and a second for one of them.
func standing(t *testing.T) Target {
	return echoing(t, func(p *peer, n int, message []byte) error {
		time.Sleep(time.Millisecond)
		if n == 300 {
			time.Sleep(standstill)
		}
		p.send(opText, message)
		return nil
	})
}

// A server stands still for one second of ten. At a rate this is a tenth of all messages, whether or not they were sent before the server
// went on; in a closed loop it is one message.
func TestStandstill(t *testing.T) {
	for _, inFlight := range []int{1, 1000} {
		in(t, func(t *testing.T) {
			r := mustRun(t, Options{Target: standing(t), Scenario: Echo, Connections: 1, Rate: 100, InFlight: inFlight, Duration: 10 * time.Second})
			if r.Messages != 1000 || r.Lost != 0 || r.ErrorCount != 0 || r.Unsent != 0 || r.Loop != "open" {
				t.Errorf("%d in flight: %+v", inFlight, r)
			}
			// Latencies of a tenth of the messages are spread evenly from a second to nothing.
			l := r.Latency
			if l.P50 > 2*time.Millisecond || l.P75 > 2*time.Millisecond || l.P99 < 850*time.Millisecond || l.P99 > 950*time.Millisecond ||
				l.P100 < standstill || l.Mean < 45*time.Millisecond {
				t.Errorf("%d in flight: %+v", inFlight, l)
			}
		})
	}
	in(t, func(t *testing.T) {
		r := mustRun(t, Options{Target: standing(t), Scenario: Echo, Connections: 1, Duration: 10 * time.Second})
		if l := r.Latency; r.Loop != "closed" || l.P999 > 2*time.Millisecond || l.P100 < standstill {
			t.Errorf("%s loop: %+v", r.Loop, l)
		}
		if text := textOf(t, r); !strings.Contains(text, "closed loop") || !strings.Contains(text, "no correction") {
			t.Errorf("it is not said that this is a closed loop:\n%s", text)
		}
	})
}

func textOf(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b, 80); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A rate is kept, spread evenly over the connections and the time.
func TestRate(t *testing.T) {
	in(t, func(t *testing.T) {
		var at [3][]time.Duration
		var mu sync.Mutex
		begin, conns := time.Now(), make(chan int, 3)
		for i := range 3 {
			conns <- i
		}
		target := pipes(t, "ws://pipe/", func(p *peer) {
			i := <-conns
			r, _, _ := p.request()
			p.upgrade(r)
			for {
				m, err := p.receive()
				if err != nil {
					return
				}
				mu.Lock()
				at[i] = append(at[i], time.Since(begin))
				mu.Unlock()
				p.send(opText, m)
			}
		})
		r := mustRun(t, Options{Target: target, Scenario: Echo, Connections: 3, Rate: 30, WarmUp: 2 * time.Second, Duration: 4 * time.Second, Workers: 2})
		if r.Messages != 120 || r.PerSecond < 29 || r.PerSecond > 31 || r.Seconds != 4 {
			t.Errorf("%+v", r)
		}
		mu.Lock()
		defer mu.Unlock()
		for i, list := range at {
			if len(list) < 59 || len(list) > 61 {
				t.Errorf("connection %d: %d messages in 6 s of 10 a second", i, len(list))
			}
			for j := 1; j < len(list); j++ {
				if d := list[j] - list[j-1]; d < 99*time.Millisecond || d > 101*time.Millisecond {
					t.Errorf("connection %d: %v between messages", i, d)
				}
			}
		}
	})
}

// Who interrupts a run gets what there is, at once.
func TestInterrupted(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		begin := time.Now()
		o := Options{Target: standing(t), Scenario: Echo, Connections: 1, Rate: 100, Duration: time.Hour, portable: true}
		r, err := Run(ctx, o)
		if exit.Code(err) != exit.Interrupted || r == nil || !r.Interrupted || r.Messages < 300 || r.Messages > 500 || r.Seconds > 5 || r.Lost != 0 {
			t.Errorf("%v: %+v", err, r)
		}
		if took := time.Since(begin); took > 7*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// So does who interrupts it while no connection is open yet, but there is nothing.
func TestInterruptedOpening(t *testing.T) {
	in(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		begin := time.Now()
		silent := pipes(t, "ws://pipe/", func(p *peer) { _, _ = io.Copy(io.Discard, p) })
		r, err := Run(ctx, Options{Target: silent, Scenario: Echo, Connections: 1000, Opening: 10, portable: true})
		if exit.Code(err) != exit.Interrupted || r != nil || time.Since(begin) > 6*time.Second {
			t.Errorf("after %v, %v: %+v", time.Since(begin), err, r)
		}
	})
}

// Too many errors end a run, and so does it when nobody is left.
func TestTooManyErrors(t *testing.T) {
	hangUp := func(p *peer, n int, m []byte) error {
		if n == 25 {
			return errHangUp
		}
		p.send(opText, m)
		return nil
	}
	in(t, func(t *testing.T) {
		o := Options{Target: echoing(t, hangUp), Scenario: Echo, Connections: 10, Rate: 100, Duration: time.Hour, MaxErrors: 5, portable: true}
		r, err := Run(t.Context(), o)
		if !errors.Is(err, errTooMany) || exit.Code(err) != exit.Failed || r == nil || r.ErrorCount < 6 {
			t.Errorf("%v: %+v", err, r)
		}
	})
	in(t, func(t *testing.T) {
		o := Options{Target: echoing(t, hangUp), Scenario: Echo, Connections: 10, Rate: 100, Duration: time.Hour, MaxErrors: -1, portable: true}
		r, err := Run(t.Context(), o)
		if !errors.Is(err, errAllGone) || exit.Code(err) != exit.Broken || r == nil || r.ErrorCount != 10 {
			t.Errorf("%v: %+v", err, r)
		}
	})
}

// Several messages are in flight, as many as was said, and no more.
func TestInFlight(t *testing.T) {
	in(t, func(t *testing.T) {
		var mu sync.Mutex
		most, waiting := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			waiting += n
			most = max(most, waiting)
		}
		target := echoing(t, func(p *peer, _ int, m []byte) error {
			count(1)
			time.AfterFunc(time.Millisecond, func() { count(-1); p.send(opText, m) })
			return nil
		})
		r := mustRun(t, Options{Target: target, Scenario: Echo, Connections: 1, InFlight: 4, Duration: time.Second})
		if most != 4 || r.Messages < 3900 || r.Messages > 4004 {
			t.Errorf("%d in flight, %d messages", most, r.Messages)
		}
	})
}
