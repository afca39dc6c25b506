package main

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers"
)

// joins are the ways in which servers are joined.
var joins = map[string]func(t *testing.T) []string{
	"cluster": func(*testing.T) []string { return []string{"--cluster"} },
	"NATS":    func(t *testing.T) []string { return []string{"--nats", "nats://" + brokers.NATS(t).Addr} },
	"Redis":   func(t *testing.T) []string { return []string{"--redis", "redis://" + brokers.Redis(t).Addr} },
}

// everywhere are the arguments of nodes that crowds use.
func everywhere(join []string) []string {
	delay := "1s" // four times as long as HAProxy takes to notice
	if whole {
		delay = "4s"
	}
	return append(join, "--history-count", "100000", "--history-bytes", "67108864", "--history-age", "1h", "--log-level", "warn",
		"--reconnect-window", "1s", "--drain-window", "2s", "--drain-delay", delay, "--max-connections", "20000")
}

// figures says what it took.
func (b *balanced) figures(t *testing.T, c *crowd, p *press, s *severer, messages, retried int) {
	t.Helper()
	for i := range b.procs {
		b.measure(i)
	}
	deliveries := messages / len(c.channels) * c.clients
	t.Logf("%d messages (%d attempts repeated) in %v, %d deliveries to %d clients in %v; %d connections were cut; seconds of the processors: %.1f; carried: %v",
		messages, retried, p.took.Round(time.Millisecond), deliveries, c.clients, time.Since(p.began).Round(time.Millisecond), s.cuts.Load(), b.cpu, b.carried)
}

// Behind a balancer that knows no sessions, clients of all kinds get everything, in order, once, however often they are cut.
func TestBalanced(t *testing.T) {
	if !whole {
		t.Parallel() // they wait, most of the time
	}
	for name, join := range joins {
		t.Run(name, func(t *testing.T) {
			channels, each, all, limit := 5, 200, kinds(1, 1, 1, 1, 1, 1), 2*time.Minute
			shortest, longest := 200*time.Millisecond, 5*time.Second
			if whole {
				channels, each, all, limit = 100, 1000, kinds(2, 2, 2, 2, 1, 1), 40*time.Minute
				shortest, longest = 2*time.Second, time.Minute
			} else if name != "cluster" {
				t.Skip("make prove")
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			b := startBalanced(t, 3, everywhere(join(t))...)
			s := startSeverer(t, b.clients, shortest, longest)
			began := time.Now()
			c := gather(ctx, t, s.address, channels, all)
			t.Logf("%d clients are there after %v", c.clients, time.Since(began).Round(time.Millisecond))
			p := c.publishAll(b.backends, each, 0, true)
			acknowledged, messages, retried := p.finish(c)
			s.whole.Store(true)
			c.await(acknowledged)
			b.figures(t, c, p, s, messages, retried)
			if messages != channels*each || s.cuts.Load() == 0 || b.carried["request"] == 0 || b.carried["websocket"] == 0 {
				t.Errorf("%d messages, %d cuts, carried %v", messages, s.cuts.Load(), b.carried)
			}
		})
	}
}

// One node after the other is stopped in peace and started again, while everybody publishes and reads.
func TestRollingRestart(t *testing.T) {
	if !whole {
		t.Parallel()
	}
	for name, join := range joins {
		t.Run(name, func(t *testing.T) {
			if name != "cluster" && !whole {
				t.Skip("make prove")
			}
			roll(t, join(t), nil)
		})
	}
}

// TestVersionsApart has the oldest of three nodes be of another version: BARO_BEFORE is its program. Then each becomes a new one, in turn.
func TestVersionsApart(t *testing.T) {
	before := os.Getenv("BARO_BEFORE")
	if before == "" {
		t.Skip("BARO_BEFORE names no program of another version")
	}
	for name, join := range joins {
		t.Run(name, func(t *testing.T) {
			roll(t, join(t), func(args ...string) *exec.Cmd { return exec.CommandContext(t.Context(), before, args...) })
		})
	}
}

// roll has nodes restarted, in turn, with a crowd before them: first as before, if that is not nil.
func roll(t *testing.T, join []string, before func(args ...string) *exec.Cmd) {
	channels, rounds, pace, all, limit := 5, 1, 20*time.Millisecond, kinds(1, 1, 1, 1, 1, 1), 3*time.Minute
	if whole {
		channels, rounds, pace, all, limit = 20, 2, 40*time.Millisecond, kinds(2, 2, 2, 2, 1, 1), 15*time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	b := startBalanced(t, 3, everywhere(join)...)
	s := startSeverer(t, b.clients, time.Second, time.Minute)
	s.whole.Store(true)
	c := gather(ctx, t, s.address, channels, all)
	p := c.publishAll(b.backends, 1<<30, pace, false)
	for round := range rounds {
		for i := range b.procs {
			var as func(args ...string) *exec.Cmd
			if i == round {
				as = before // one at a time is of another version
			}
			b.restart(i, as)
		}
	}
	close(p.stop)
	acknowledged, messages, retried := p.finish(c)
	c.await(acknowledged)
	b.figures(t, c, p, s, messages, retried)
}
