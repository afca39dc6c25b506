package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
	"baro.dev/internal/cluster"
	"baro.dev/internal/testkit/brokers"
)

// A poisoner is somebody who may write into the broker of a cluster, and has heard what its nodes say there.
type poisoner struct {
	mu    sync.Mutex
	heard map[string][][]byte // by where that was; the oldest of each
	say   func(where string, data []byte) error
}

func (p *poisoner) hears(where string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.heard[where]) < 2 && len(p.heard) < 1000 {
		p.heard[where] = append(p.heard[where], bytes.Clone(data))
	}
}

// places are where something was heard, and what.
func (p *poisoner) places() map[string][][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string][][]byte{}
	for where, said := range p.heard {
		all[where] = append(all[where], said...)
	}
	return all
}

// poisons are what can be made of what a node has said: of other versions, of other nodes, cut off, with more at the end, with bits that are others,
// and of another schema altogether.
func poisons(said []byte) [][]byte {
	with := func(at int, b ...byte) []byte {
		other := bytes.Clone(said)
		copy(other[min(at, len(other)):], b)
		return other
	}
	all := [][]byte{
		nil, {0}, []byte("{}"), []byte(`{"from":"../..","life":"x","seq":-1}`), bytes.Repeat([]byte{0xff}, 200), bytes.Repeat([]byte("\x01"), 2000),
		said[:len(said)/2], said[:max(len(said)-1, 0)], append(bytes.Clone(said), "more"...), append(bytes.Clone(said), said...),
		with(0, 0), with(0, 3), with(0, 0xff), with(1, 99), with(2, []byte("../../")...), with(2, []byte("\x1b[2J\r\n")...), with(2, 0, 0, 0, 0, 0, 0),
	}
	for range 4 {
		if len(said) > 16 {
			at := 16 + rand.IntN(len(said)-16)
			all = append(all, with(at, said[at]^1<<rand.IntN(8)))
		}
	}
	return all
}

// poison says all of that, and real messages again, twice, and in another order, in their places and in those of others. Many are one a
// millisecond.
func (p *poisoner) poison(ctx context.Context, t *testing.T) (n int) {
	t.Helper()
	places := p.places()
	var names []string
	for where := range places {
		names = append(names, where)
	}
	say := func(where string, data []byte) {
		if err := p.say(where, data); err != nil {
			t.Errorf("%d bytes cannot be said at %s: %v", len(data), where, err)
		}
		n++
		pause(ctx, time.Millisecond)
	}
	for where, said := range places {
		for i := range said {
			again := said[len(said)-1-i]
			say(where, again)
			say(where, again)
			say(names[rand.IntN(len(names))], again)
		}
		for _, data := range poisons(said[0]) {
			say(where, data)
		}
	}
	return n
}

// poisonNATS is a poisoner of a NATS, who leaves headers away: the server sees to those.
func poisonNATS(t *testing.T, address string) *poisoner {
	t.Helper()
	nc, err := nats.Connect("nats://" + address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	p := &poisoner{heard: map[string][][]byte{}, say: func(where string, data []byte) error { return nc.Publish(where, data) }}
	if _, err := nc.Subscribe("baro.>", func(m *nats.Msg) { p.hears(m.Subject, m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return p
}

// poisonRedis is a poisoner of a Redis.
func poisonRedis(t *testing.T, address string) *poisoner {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: address, WriteTimeout: time.Minute, ReadTimeout: time.Minute})
	t.Cleanup(func() { c.Close() })
	sub := c.PSubscribe(t.Context(), "baro:*")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	p := &poisoner{heard: map[string][][]byte{}, say: func(where string, data []byte) error { return c.Publish(context.Background(), where, data).Err() }}
	go func() {
		for m := range sub.Channel(redis.WithChannelSize(100_000)) {
			p.hears(m.Channel, []byte(m.Payload))
		}
	}()
	return p
}

var poisoners = map[string]func(t *testing.T, address string) *poisoner{"NATS": poisonNATS, "Redis": poisonRedis}

// What somebody else writes into the broker is ignored: everybody gets what was published, in order, once, and nothing else.
func TestClusterPoison(t *testing.T) {
	t.Parallel()
	for name, broker := range external {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := broker.start(t).Addr
			p := poisoners[name](t, at)
			k, web, admin := startNodesForTrial(t, 2, nil, func(int) []string { return nil }, broker.args(at)...)
			l := &trial{nodes: k, ctx: t.Context(), urls: k.URLs, admin: admin, logs: make([]string, len(web)), stopped: make([]bool, len(web))}
			const publishers, each = 2, 20
			waits := make([]func([][]channel.Position), 2)
			for i := range waits {
				waits[i] = readEverywhere(t.Context(), t, func() string { return k.URLs[i] }, func() *ledger { return newLedger(publishers, each+1) })
			}
			acknowledged := make([][]channel.Position, publishers)
			publish := func(n int) {
				var all sync.WaitGroup
				for i := range publishers {
					p := &publishing{reading: reading{url: func() string { return k.URLs[i] }, name: "all"}, number: i, each: n, acknowledged: acknowledged[i]}
					p.off.Store(true)
					all.Go(func() {
						if err := p.publishHTTP(t.Context()); err != nil {
							t.Errorf("publisher %d: %v", i, err)
						}
						acknowledged[i] = p.acknowledged
					})
				}
				all.Wait()
			}
			publish(each)
			n := p.poison(t.Context(), t)
			publish(each + 1)
			for _, wait := range waits {
				wait(acknowledged)
			}
			for i := range k.URLs {
				k.waitReady(i, true)
				if ignored := l.metric(i, "baro_cluster_ignored_total"); ignored < 20 {
					t.Errorf("node %d has ignored %v of %d", i, ignored, n)
				}
			}
			for i := range k.procs { // to stop takes them five seconds: a client may have connected, and not asked yet
				l.fell(i)
			}
			l.quiet(2)
		})
	}
}

// The same under load, with messages as long as the broker takes them, and 100 MB.
func TestClusterPoisonForLong(t *testing.T) {
	proof(t)
	for name, start := range map[string]func(t *testing.T) (address string, longest int){
		"Redis": func(t *testing.T) (string, int) { return brokers.Redis(t).Addr, 100 << 20 },
		"NATS": func(t *testing.T) (string, int) {
			conf := filepath.Join(t.TempDir(), "nats.conf")
			if err := os.WriteFile(conf, []byte("max_payload: 64MB\nmax_pending: 256MB\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return brokers.NATS(t, "--config", conf).Addr, 64_000_000
		},
	} {
		t.Run(name, func(t *testing.T) {
			at, longest := start(t)
			p := poisoners[name](t, at)
			l := startTrial(t, 5*time.Minute, external[name].args(at)...)
			before := make([]int64, len(l.procs))
			for i := range before {
				before[i] = l.procs[i].memory(t)
			}
			l.standstill()
			n := 0
			for range 10 {
				n += p.poison(l.ctx, t)
			}
			t.Logf("%d poisoned messages: publishing stood still for %v", n, l.standstill())
			for _, where := range []string{"node.all", "r." + cluster.Word("all"), "p." + cluster.Word("all"), "presence." + cluster.Word("room")} {
				if name == "Redis" {
					where = map[string]string{"n": "node.all", "r": "p0:{all}", "p": "p0:{room}"}[where[:1]]
				}
				if err := p.say("baro"+map[string]string{"Redis": ":", "NATS": "."}[name]+where, []byte(strings.Repeat("x", longest))); err != nil {
					t.Errorf("%s: %v", where, err)
				}
			}
			l.goesOn()
			l.healed()
			t.Logf("%d bytes at four places: publishing stood still for %v", longest, l.standstill())
			for i := range before {
				t.Logf("node %d has ignored %v, and took %d MB more; its broker had %v gaps, and lost %v", i, l.metric(i, "baro_cluster_ignored_total"),
					(l.procs[i].memory(t)-before[i])>>20, l.metric(i, "baro_broker_gaps_total"), l.metric(i, "baro_broker_lost_total"))
				if ignored := l.metric(i, "baro_cluster_ignored_total"); ignored < 100 {
					t.Errorf("node %d has ignored %v", i, ignored)
				}
			}
			l.finish()
			l.quiet(6)
		})
	}
}
