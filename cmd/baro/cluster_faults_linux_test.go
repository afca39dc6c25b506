package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit/brokers"
)

// proof skips what takes long.
func proof(t *testing.T) {
	t.Helper()
	if !whole {
		t.Skip("takes a minute: make prove")
	}
}

// A node stands still for longer than the others wait for it, and goes on: it has missed things, and notices.
func TestClusterStandstill(t *testing.T) {
	t.Parallel()
	still := 6 * time.Second
	if whole {
		still = time.Minute
	}
	l := startTrial(t, 5*time.Minute, "--cluster")
	l.standstill()
	l.standStill(0)
	began := time.Now()
	took := l.presentWithin(presenceWithin, 2*membersEach, 1, 2)
	t.Logf("node 0 stands still: presence was right after %v", took)
	pause(l.ctx, still-time.Since(began))
	l.goesOn()
	t.Logf("publishing stood still for %v", l.standstill())
	l.proceed(0)
	l.healed()
	l.finish()
	l.quiet(3)
}

// Every node in turn is killed, so the leader of the log too, and comes back.
func TestClusterKilledInTurn(t *testing.T) {
	proof(t)
	l := startTrial(t, 5*time.Minute, "--cluster")
	for i := range 3 {
		l.standstill()
		l.fell(i)
		took := l.presentWithin(presenceWithin, 2*membersEach, (i+1)%3, (i+2)%3)
		l.goesOn()
		t.Logf("node %d was killed: presence was right after %v; publishing stood still for %v", i, took, l.standstill())
		l.rise(i)
		l.healed()
	}
	l.finish()
	l.quiet(6)
}

// The same, where what joins them goes on.
func TestClusterOfBrokerKilledInTurn(t *testing.T) {
	proof(t)
	for name, args := range map[string]func(t *testing.T) []string{
		"Redis": func(t *testing.T) []string { return []string{"--redis", "redis://" + brokers.Redis(t).Addr} },
		"NATS":  func(t *testing.T) []string { return []string{"--nats", "nats://" + brokers.NATS(t).Addr} },
	} {
		t.Run(name, func(t *testing.T) {
			l := startTrial(t, 5*time.Minute, args(t)...)
			l.standstill()
			l.fell(0)
			took := l.presentWithin(presenceWithin, 2*membersEach, 1, 2)
			t.Logf("killed: presence was right after %v; publishing stood still for %v", took, l.standstill())
			l.rise(0)
			l.healed()
			l.standStill(1)
			began := time.Now()
			took = l.presentWithin(presenceWithin, 2*membersEach, 0, 2)
			pause(l.ctx, time.Minute-time.Since(began))
			t.Logf("stopped: presence was right after %v; publishing stood still for %v", took, l.standstill())
			l.proceed(1)
			l.healed()
			l.finish()
			l.quiet(4)
		})
	}
}

// Redis is killed and comes back with what it had, and stands still.
func TestClusterRedisKilled(t *testing.T) {
	proof(t)
	redis := brokers.Redis(t)
	l := startTrial(t, 5*time.Minute, "--redis", "redis://"+redis.Addr)
	l.awayAndBack(redis.Kill, redis.Restart)
	l.awayAndBack(redis.Pause, redis.Continue)
	l.finish()
	l.quiet(4)
}

// NATS is killed and comes back with what it had, and stands still.
func TestClusterNATSKilled(t *testing.T) {
	proof(t)
	nats := brokers.NATS(t)
	l := startTrial(t, 5*time.Minute, "--nats", "nats://"+nats.Addr)
	l.awayAndBack(nats.Kill, nats.Restart)
	l.awayAndBack(nats.Pause, nats.Continue)
	l.finish()
	l.quiet(4)
}

// awayAndBack has the broker away until all nodes say so, and somebody has been refused.
func (l *trial) awayAndBack(away, back func()) {
	l.t.Helper()
	l.standstill()
	failures := func() float64 { return l.metric(0, `baro_broker_failures_total{operation="append"}`) }
	before := failures()
	away()
	began := time.Now()
	for i := range l.urls {
		l.reasons(i, "broker_away")
		if l.metric(i, "baro_broker_up") != 0 {
			l.t.Errorf("node %d has a broker that is away", i)
		}
	}
	took := time.Since(began)
	l.refused(0)
	if failures() <= before {
		l.t.Error("the metrics do not say that publishing fails")
	}
	back()
	since := time.Since(began)
	on := l.goesOn()
	l.t.Logf("away for %v: all nodes said so after %v; back: all went on after %v; publishing stood still for %v", since, took, on, l.standstill())
	l.healed()
}

// refused wants publishing refused, in the ways that are documented.
func (l *trial) refused(i int) {
	l.t.Helper()
	began := time.Now()
	status, body := l.publish(i, "other", "refused")
	if status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout || !strings.Contains(body, "store_failed") && !strings.Contains(body, "uncertain") {
		l.t.Errorf("publishing at node %d is answered with %d %s", i, status, body)
	}
	l.t.Logf("publishing at node %d was refused after %v: %d %s", i, time.Since(began).Round(10*time.Millisecond), status, body)
}

// Redis comes back with nothing: whoever reads is told so, whatever it reads by, and nobody takes new messages for old ones.
func TestClusterRedisEmpty(t *testing.T) {
	t.Parallel()
	redis := brokers.Redis(t)
	k := startNodes(t, 3, "--redis", "redis://"+redis.Addr, "--log-level", "warn")
	const before = 10
	for i := range before {
		k.taken(i%3, "all", fmt.Sprintf("0/%d/", i))
	}
	var all sync.WaitGroup
	var ledgers []*ledger
	for i := range k.URLs {
		for _, name := range []string{"/ws", "SSE", "NDJSON", "long polling", "polling", "WebSocket, envelopes", "WebSocket", "Socket.IO"} {
			l := &ledger{seen: make([][]uint64, 1), whole: func(*ledger) bool { return false }}
			ledgers = append(ledgers, l)
			r := &reading{url: func() string { return k.URLs[i] }, name: "all", accept: l.takeAny, after: l.after}
			r.off.Store(true)
			all.Go(func() {
				if err := r.run(t.Context(), transports[name]); !errors.Is(err, errReset) {
					t.Errorf("%s at node %d was told %v, after %s", name, i, err, l.after())
				}
			})
		}
	}
	for _, l := range ledgers {
		for end := time.Now().Add(time.Minute); !strings.HasSuffix(l.after(), fmt.Sprintf(":%d", before)); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("a reader is at %s", l.after())
			}
		}
	}
	redis.RestartEmpty()
	for i := range before + 2 { // more than there were
		k.taken(i%3, "all", fmt.Sprintf("new-%d", i))
	}
	all.Wait()
	have := k.history(0, "all")
	if len(have) != before+2 || have[0] != "new-0" {
		t.Errorf("the history is %q", have)
	}
	k.agree("all", have, 1, 2)
}

// takeAny is take for messages of one epoch that say anything.
func (l *ledger) takeAny(m channel.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Offset != l.last.Offset+1 || l.last.Epoch != "" && m.Epoch != l.last.Epoch {
		l.wrong = fmt.Errorf("after %v comes %v", l.last, m.Position())
		return false
	}
	l.last = m.Position()
	return true
}

// Each node in turn cannot be reached by the others, though by clients: it takes nothing, and what it says is no lie. The others go on.
func TestClusterPartition(t *testing.T) {
	proof(t)
	in := startNamespaces(t, 3)
	var peers []string
	for _, a := range in.joined {
		peers = append(peers, a+":6222")
	}
	l := startTrialWith(t, 10*time.Minute, in, func(i int) []string {
		return []string{"--cluster-listen", peers[i], "--cluster-peers", strings.Join(peers, ",")}
	}, "--cluster")
	for i := range 3 {
		others := slices.Delete([]int{0, 1, 2}, i, i+1)
		l.standstill()
		began := time.Now()
		in.cut(i)
		l.stopped[i] = true
		l.believes(i, others[0])
		l.reasons(i, "broker_away")
		noticed := time.Since(began)
		took := l.presentWithin(presenceWithin, 2*membersEach, others...)
		l.goesOn()
		t.Logf("node %d is cut off: it said so after %v; presence was right after another %v; publishing stood still for %v", i, noticed, took, l.standstill())
		for range 3 {
			l.refused(i)
		}
		l.part(i, others[0])
		in.heal(i)
		l.stopped[i] = false
		began = time.Now()
		l.reasons(i)
		t.Logf("node %d is back: ready after %v", i, time.Since(began))
		l.healed()
	}
	l.finish()
	l.quiet(6)
}

// believes wants a node that is just being cut off never to say that a position of the others cannot be had: it is behind.
func (l *trial) believes(i, other int) {
	l.t.Helper()
	said := map[int]int{}
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); pause(l.ctx, 100*time.Millisecond) {
		status, text := get(l.t, l.urls[other]+"api/v1/history?limit=10000&channel=all")
		var h struct{ Next string }
		if err := json.Unmarshal([]byte(text), &h); err != nil || status != http.StatusOK {
			continue
		}
		var answer json.RawMessage
		_ = l.ask(l.urls[i]+"c/all?after="+h.Next, &answer)
		switch {
		case strings.Contains(string(answer), "not_recoverable"):
			l.t.Fatalf("node %d, which is cut off, says of %s: %s", i, h.Next, answer)
		case strings.Contains(string(answer), "store_failed"):
			said[http.StatusServiceUnavailable]++
		case answer == nil:
			said[0]++
		default:
			said[http.StatusOK]++
		}
	}
	l.t.Logf("node %d, which is cut off, was asked for what follows positions of the others: it answered (0: not within 5 seconds) %v", i, said)
}

// part wants what a node that is cut off says of a channel to be a part of what the others have.
func (l *trial) part(i, other int) {
	l.t.Helper()
	if status, _ := get(l.t, l.urls[i]+"api/v1/history?limit=1&channel=all"); status != http.StatusOK {
		l.t.Logf("node %d does not say what there is: status %d", i, status)
		return
	}
	have := l.history(i, "all")
	if of := l.history(other, "all"); len(have) > len(of) || !slices.Equal(have, of[:len(have)]) {
		l.t.Errorf("node %d has %d messages that the others do not have like that", i, len(have))
	} else {
		l.t.Logf("node %d has %d messages, the others have %d", i, len(have), len(of))
	}
}

// While the broker stands still, publishers that insist take no more memory of a node than is stated: 64 MiB wait, and what is on its way.
func TestClusterMemory(t *testing.T) {
	proof(t)
	if underRace() {
		t.Skip("the race detector takes memory of its own")
	}
	for name, start := range map[string]func(t *testing.T) (*brokers.Server, []string){
		"Redis": func(t *testing.T) (*brokers.Server, []string) {
			s := brokers.Redis(t)
			return s, []string{"--redis", "redis://" + s.Addr}
		},
		"NATS": func(t *testing.T) (*brokers.Server, []string) {
			s := brokers.NATS(t)
			return s, []string{"--nats", "nats://" + s.Addr}
		},
	} {
		t.Run(name, func(t *testing.T) {
			broker, args := start(t)
			k := startNodes(t, 2, append(args, "--log-level", "warn")...)
			k.taken(0, "news", "before")
			k.taken(1, "news", "before") // which has the same key
			before := k.procs[0].memory(t)
			broker.Pause()
			client := &http.Client{Timeout: 5 * time.Second}
			data := strings.Repeat("x", 60_000)
			statuses := map[int]int{}
			var mu sync.Mutex
			var publishing sync.WaitGroup
			end := time.Now().Add(20 * time.Second)
			for p := range 64 {
				publishing.Go(func() {
					for n := 0; time.Now().Before(end); n++ {
						status := 0
						response, err := client.Post(fmt.Sprintf("%sc/flood%d", k.URLs[0], (p+n*64)%5000), "text/plain", strings.NewReader(data))
						if err == nil {
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
			grown := k.procs[0].memory(t) - before
			t.Logf("%d MB more, answers by status (0: none within 5 seconds): %v", grown>>20, statuses)
			if grown > 300<<20 {
				t.Errorf("%d MB more", grown>>20)
			}
			broker.Continue()
			k.taken(0, "news", "after")
			k.agree("news", []string{"before", "after"}, 0)
		})
	}
}

// Two clusters on one broker, by their names, have nothing in common.
func TestTwoClustersOnOneBroker(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]func(t *testing.T) []string{
		"Redis": func(t *testing.T) []string { return []string{"--redis", "redis://" + brokers.Redis(t).Addr} },
		"NATS":  func(t *testing.T) []string { return []string{"--nats", "nats://" + brokers.NATS(t).Addr} },
	} {
		t.Run(name, func(t *testing.T) {
			given := args(t)
			var both []*nodes
			for _, name := range []string{"one", "two"} {
				both = append(both, startNodes(t, 2, append(slices.Clone(given), "--cluster-name", name)...))
			}
			for i, k := range both {
				k.taken(i, "news", fmt.Sprintf("of-%d", i))
				for j := range 2 {
					for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
						names, body := k.ready(j)
						if names == "node-0 node-1" {
							break
						}
						if time.Now().After(end) {
							t.Fatalf("cluster %d has the nodes %s", i, body)
						}
					}
				}
			}
			for i, k := range both {
				k.agree("news", []string{fmt.Sprintf("of-%d", i)}, 0, 1)
				for j, p := range k.procs {
					if code := p.stop(t, os.Interrupt); code != exit.OK || strings.Contains(p.log.String(), `"WARN"`) {
						t.Errorf("node %d of cluster %d: exit code %d, %s", j, i, code, p.log)
					}
				}
			}
		})
	}
}
