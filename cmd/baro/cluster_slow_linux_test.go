package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/testkit/brokers"
)

// external has the brokers that are processes of their own, and what nodes are told of where one is.
var external = map[string]struct {
	start func(t *testing.T) *brokers.Server
	args  func(address string) []string
}{
	"Redis": {func(t *testing.T) *brokers.Server { return brokers.Redis(t) }, func(a string) []string { return []string{"--redis", "redis://" + a} }},
	"NATS":  {func(t *testing.T) *brokers.Server { return brokers.NATS(t) }, func(a string) []string { return []string{"--nats", "nats://" + a} }},
}

// Nodes with a slow way to their broker are slow, and nothing else: everybody gets what was acknowledged, in order, once.
func TestClusterSlow(t *testing.T) {
	t.Parallel()
	for name, broker := range external {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := broker.start(t).Addr
			links := []*slowlink{startSlowlink(t, to), startSlowlink(t, to)}
			k := startNodesWith(t, 2, func(i int) []string { return broker.args(links[i].address) }, "--log-level", "warn")
			const publishers, each = 2, 3
			waits := make([]func([][]channel.Position), 2)
			for i := range waits {
				waits[i] = readEverywhere(t.Context(), t, func() string { return k.URLs[i] }, func() *ledger { return newLedger(publishers, each) })
				links[i].slow(100*time.Millisecond, 64<<10)
			}
			acknowledged := make([][]channel.Position, publishers)
			var all sync.WaitGroup
			for i := range publishers {
				p := &publishing{reading: reading{url: func() string { return k.URLs[i] }, name: "all"}, number: i, each: each}
				p.off.Store(true)
				all.Go(func() {
					if err := p.publishHTTP(t.Context()); err != nil {
						t.Errorf("publisher %d: %v", i, err)
					}
					acknowledged[i] = p.acknowledged
				})
			}
			began := time.Now()
			all.Wait()
			if took := time.Since(began); took < each*200*time.Millisecond {
				t.Errorf("the way there and back takes 200 ms, and %d messages, one after the other, took %v", each, took)
			}
			for i := range waits {
				waits[i](acknowledged)
				links[i].ease()
				k.waitReady(i, true)
			}
		})
	}
}

// The same for long, with all the load, until the way is so narrow that what is published is more than what gets through.
func TestClusterSlowForLong(t *testing.T) {
	proof(t)
	for name, broker := range external {
		t.Run(name, func(t *testing.T) {
			to := broker.start(t).Addr
			var links []*slowlink
			for range 3 {
				links = append(links, startSlowlink(t, to))
			}
			l := startTrialWith(t, 10*time.Minute, nil, func(i int) []string { return broker.args(links[i].address) }, "--drain-timeout", "30s")
			l.tells("before")
			set := func(delay time.Duration, rate int) {
				for _, link := range links {
					link.slow(delay, rate)
				}
			}
			before := l.procs[0].memory(t)
			l.standstill()
			seconds, count := l.appended(0)
			set(300*time.Millisecond, 0)
			for range 4 {
				pause(l.ctx, 5*time.Second)
				l.tells("300 ms each way")
			}
			l.goesOn()
			t.Logf("300 ms each way: publishing stood still for %v", l.standstill())
			if s, n := l.appended(0); n == count || (s-seconds)/(n-count) < 0.3 {
				t.Errorf("the metrics do not say that the broker is slow: %v messages in %v s, before %v in %v", n, s, count, seconds)
			}
			set(300*time.Millisecond, 64<<10)
			for range 4 {
				pause(l.ctx, 5*time.Second)
				l.tells("and 64 KB a second")
			}
			t.Logf("and 64 KB a second: publishing stood still for %v", l.standstill())
			statuses := l.flood(0, 20*time.Second)
			t.Logf("and a flood at node 0, which was answered (0: not within 5 seconds) with %v: publishing stood still for %v", statuses, l.standstill())
			for i := range l.urls {
				if waiting := l.metric(i, "baro_broker_waiting_bytes"); waiting > 65<<20 {
					t.Errorf("node %d: %v bytes wait for the broker", i, waiting)
				}
			}
			grown := l.procs[0].memory(t) - before
			t.Logf("node 0 took %d MB more", grown>>20)
			if grown > 300<<20 && !underRace() {
				t.Errorf("node 0 took %d MB more", grown>>20)
			}
			for _, link := range links {
				link.ease()
			}
			l.healed()
			l.tells("after")
			l.finish()
			l.quiet(6)
		})
	}
}

// tells logs what each node says of its broker.
func (l *trial) tells(when string) {
	l.t.Helper()
	for i := range l.urls {
		_, ready := get(l.t, l.urls[i]+"readyz")
		seconds, count := l.appended(i)
		l.t.Logf("%s: node %d: %s; %.0f messages appended in %.3f s each so far, %v bytes wait, %v peers, gaps %v, lost %v", when, i, strings.TrimSpace(ready), count,
			seconds/max(count, 1), l.metric(i, "baro_broker_waiting_bytes"), l.metric(i, "baro_cluster_peers"), l.metric(i, "baro_broker_gaps_total"), l.metric(i, "baro_broker_lost_total"))
		if lost := l.metric(i, "baro_broker_lost_total"); lost != 0 {
			l.t.Errorf("%s: node %d says that something is lost", when, i)
		}
	}
}

// appended is how long a node's broker has taken for what was published, and how much that was.
func (l *trial) appended(i int) (seconds, count float64) {
	l.t.Helper()
	return l.metric(i, `baro_broker_seconds_sum{operation="append"}`), l.metric(i, `baro_broker_seconds_count{operation="append"}`)
}

// flood has many publish much at a node, and says how often each status was the answer.
func (l *trial) flood(at int, lasts time.Duration) map[int]int {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	data := strings.Repeat("x", 60_000)
	statuses := map[int]int{}
	var mu sync.Mutex
	var publishing sync.WaitGroup
	end := time.Now().Add(lasts)
	for p := range 64 {
		publishing.Go(func() {
			for n := 0; time.Now().Before(end) && l.ctx.Err() == nil; n++ {
				status := 0
				request, _ := http.NewRequestWithContext(l.ctx, http.MethodPost, fmt.Sprintf("%sc/flood%d", l.urls[at], (p+n*64)%5000), strings.NewReader(data))
				request.Header.Set("Content-Type", "text/plain")
				if response, err := client.Do(request); err == nil {
					status = response.StatusCode
					response.Body.Close()
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	publishing.Wait()
	return statuses
}
