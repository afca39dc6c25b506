package load

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// What is lost, comes twice, or comes late, is counted for each subscriber; what a server does not take is no loss.
func TestFanOutFaults(t *testing.T) {
	all := func(m string) func(int) []string { return func(int) []string { return []string{m} } }
	var held string
	for _, c := range []struct {
		name   string
		post   func(n int, m string) (int, func(l int) []string)
		want   counts
		errors int64
	}{
		{"none", nil, counts{}, 0},
		{"loses, for one of four", func(n int, m string) (int, func(int) []string) {
			return 200, func(l int) []string {
				if l == 2 && n%10 == 7 {
					return nil
				}
				return []string{m}
			}
		}, counts{lost: 10}, 0},
		{"twice, for all", func(n int, m string) (int, func(int) []string) {
			if n%10 == 7 {
				return 200, func(int) []string { return []string{m, m} }
			}
			return 200, all(m)
		}, counts{duplicated: 40}, 0},
		{"out of order, for all", func(n int, m string) (int, func(int) []string) {
			switch n % 10 {
			case 7:
				held = m
				return 200, func(int) []string { return nil }
			case 8:
				before := held
				return 200, func(int) []string { return []string{m, before} }
			}
			return 200, all(m)
		}, counts{reordered: 40}, 0},
		{"refuses", func(n int, m string) (int, func(int) []string) {
			if n%10 == 7 {
				return http.StatusTooManyRequests, func(int) []string { return nil }
			}
			return 200, all(m)
		}, counts{}, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				s := &channels{post: c.post}
				o := Options{
					Target: pipes(t, "http://pipe/c/x", s.serve), Scenario: FanOut, Transports: []Transport{WebSocket, EventStream},
					Connections: 4, Rate: 10, Duration: 10 * time.Second, MaxErrors: -1,
				}
				r := mustRun(t, o)
				got := counts{lost: r.Lost, duplicated: r.Duplicated, reordered: r.Reordered, unsent: r.Unsent}
				if got != c.want || r.ErrorCount != c.errors {
					t.Errorf("%+v, want %+v; errors %v", got, c.want, r.Errors)
				}
				if want := 4*(100-c.errors) - c.want.lost; r.Messages != want {
					t.Errorf("%d deliveries, want %d", r.Messages, want)
				}
				if c.errors > 0 && r.Errors["HTTP status 429"] != c.errors {
					t.Errorf("errors %v", r.Errors)
				}
			})
		})
	}
}

// A publisher that waits for an answer does not send meanwhile; that those messages are late is seen all the same, by subscribers and
// in the answers.
func TestFanOutStandstill(t *testing.T) {
	in(t, func(t *testing.T) {
		s := &channels{post: func(n int, m string) (int, func(int) []string) {
			if n == 50 {
				time.Sleep(standstill)
			}
			return 200, func(int) []string { return []string{m} }
		}}
		r := mustRun(t, Options{Target: pipes(t, "http://pipe/c/x", s.serve), Scenario: FanOut, Connections: 2, Rate: 100, Duration: 10 * time.Second})
		for name, l := range map[string]*Latency{"deliveries": r.Latency, "answers": r.Answers} {
			if l.P50 > time.Millisecond || l.P99 < 850*time.Millisecond || l.P99 > 950*time.Millisecond {
				t.Errorf("%s: %+v", name, l)
			}
		}
		if r.Messages != 2000 {
			t.Errorf("%d deliveries", r.Messages)
		}
	})
}

// Every subscriber gets what is published in its channel, by whichever publisher.
func TestFanOutSpread(t *testing.T) {
	for _, c := range []struct{ channels, publishers int }{{1, 3}, {3, 1}, {5, 3}, {3, 5}} {
		in(t, func(t *testing.T) {
			servers := map[string]*channels{}
			for i := range c.channels {
				o := Options{Channels: c.channels, Target: pipes(t, "http://pipe/c/x", nil)}
				servers["/c/"+o.channelName(i)] = &channels{}
			}
			target := pipes(t, "http://pipe/c/x", (&channels{routes: servers}).serve)
			r := mustRun(t, Options{
				Target: target, Scenario: FanOut, Connections: 15, Channels: c.channels, Publishers: c.publishers, Rate: 150, Duration: 2 * time.Second, Workers: 2,
			})
			if want := int64(300 * 15 / c.channels); r.Messages != want || r.Lost+r.Duplicated+r.Reordered+r.ErrorCount != 0 {
				t.Errorf("%+v: %d deliveries, want %d: %+v", c, r.Messages, want, r)
			}
			for path, s := range servers {
				if len(s.listeners) != 15/c.channels || s.posted == 0 {
					t.Errorf("%+v, %s: %d subscribers, %d messages", c, path, len(s.listeners), s.posted)
				}
			}
		})
	}
}

// A subscriber that is cut is an error; what it did not get is not lost.
func TestSubscriberCut(t *testing.T) {
	in(t, func(t *testing.T) {
		s := &channels{}
		var cut atomic.Bool
		target := pipes(t, "http://pipe/c/x", func(p *peer) {
			if cut.CompareAndSwap(false, true) {
				time.AfterFunc(5*time.Second, func() { p.Close() })
			}
			s.serve(p)
		})
		o := Options{Target: target, Scenario: FanOut, Connections: 3, Opening: 1, Rate: 10, Duration: 10 * time.Second, MaxErrors: -1}
		r := mustRun(t, o)
		if r.Lost != 0 || r.ErrorCount != 1 || r.Messages < 220 || r.Messages > 280 {
			t.Errorf("%+v", r)
		}
	})
}

// Connections that are opened at a rate are measured from when they were due: a server that lets nobody in for a second shows it.
func TestConnect(t *testing.T) {
	in(t, func(t *testing.T) {
		begin := time.Now()
		target := pipes(t, "ws://pipe/", func(p *peer) {
			r, _, _ := p.request()
			if at := time.Since(begin); at > time.Second && at < time.Second+standstill {
				time.Sleep(time.Second + standstill - at)
			}
			p.upgrade(r)
			_, _ = p.receive()
		})
		r := mustRun(t, Options{Target: target, Scenario: Connect, Connections: 400, Rate: 100, Opening: 10, Duration: 3 * time.Second})
		if r.Messages != 400 || r.Connections != 400 || r.Held.Connections != 400 || r.Held.Seconds != 3 || r.ErrorCount != 0 || r.Loop != "open" {
			t.Errorf("%+v", r)
		}
		if l := r.Latency; l.P50 > time.Millisecond || l.P90 < 500*time.Millisecond || l.P100 < 900*time.Millisecond {
			t.Errorf("%+v", l)
		}
	})
}

// Who is cut while a server does not let anybody in comes back when it does.
func TestReconnect(t *testing.T) {
	in(t, func(t *testing.T) {
		var opened, back atomic.Int64
		target := pipes(t, "ws://pipe/", func(p *peer) {
			r, _, _ := p.request()
			if opened.Add(1) == 51 {
				back.Store(time.Now().Add(2 * time.Second).UnixNano())
			}
			if time.Now().UnixNano() < back.Load() {
				p.answer(http.StatusServiceUnavailable, "")
				return
			}
			p.upgrade(r)
			_, _ = p.receive()
		})
		r := mustRun(t, Options{Target: target, Scenario: Reconnect, Connections: 50, Duration: 5 * time.Second, MaxErrors: -1})
		if len(r.Storms) != 2 || r.Storms[0].All < 2*time.Second || r.Storms[0].Errors < 100 || r.Storms[1].All > 10*time.Millisecond || r.Storms[1].Errors != 0 ||
			r.Messages != 100 || r.Errors["HTTP status 503"] != r.ErrorCount {
			t.Errorf("%+v", r)
		}
		if r.Latency.Min > 10*time.Millisecond || r.Latency.P100 < 2*time.Second {
			t.Errorf("%+v", r.Latency)
		}
	})
}

// Options that make no sense are mistakes of whoever calls.
func TestUsage(t *testing.T) {
	target := pipes(t, "http://pipe/c/x", nil)
	for _, o := range []Options{
		{Scenario: "run"}, {Scenario: Echo, Connections: -1}, {Scenario: Echo, Size: 7}, {Scenario: FanOut, Size: 31}, {Scenario: Echo, Rate: -1},
		{Scenario: Echo, Transports: []Transport{EventStream}}, {Scenario: FanOut, Transports: []Transport{"pigeon"}}, {Scenario: FanOut, PublishBy: "pigeon"},
		{Scenario: Echo, Duration: -1}, {Scenario: Echo, Connections: 900_000},
	} {
		o.Target, o.portable = target, true
		_, err := Run(context.Background(), o)
		if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
