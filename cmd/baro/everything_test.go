package main

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
)

// whole has the proofs run in full, which takes minutes.
var whole = os.Getenv("BARO_PROOF") != ""

// Over whatever transport, and however often it is cut, every client ends with every message of every publisher, in order, once.
func TestEverybodyGetsEverything(t *testing.T) {
	clients, each, limit := 3, 250, 2*time.Minute
	if whole {
		clients, each, limit = 50, 2000, 20*time.Minute
	}
	s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--history-count", "100000", "--history-bytes", "67108864", "--log-level", "warn")
	url := func() string { return s.url }
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()

	publish := []func(*publishing, context.Context) error{
		(*publishing).publishHTTP, (*publishing).publishAPI, (*publishing).publishSocketIO, (*publishing).publishMultiplexed, (*publishing).publishWebSocket,
	}
	publishers := make([]*publishing, len(publish))
	began := time.Now()
	var wg sync.WaitGroup
	for i, how := range publish {
		p := &publishing{reading: reading{url: url, name: "all"}, number: i, each: each}
		p.off.Store(i == 4) // an envelope has no key: nobody could say whether it was published
		publishers[i] = p
		wg.Go(func() {
			if err := how(p, ctx); err != nil {
				t.Errorf("publisher %d: %v, when %d were acknowledged", i, err, len(p.acknowledged))
				cancel()
			}
		})
	}
	readings := map[string][]*reading{}
	ledgers := map[string][]*ledger{}
	for name, read := range transports {
		for i := range clients {
			l := newLedger(len(publish), each)
			r := &reading{url: url, name: "all", accept: l.take, after: l.after}
			readings[name], ledgers[name] = append(readings[name], r), append(ledgers[name], l)
			wg.Go(func() {
				if err := r.run(ctx, read); err != nil {
					t.Errorf("%s, client %d: after %s: %v", name, i, l.after(), err)
				}
			})
		}
	}
	wg.Wait()
	took := time.Since(began)

	acknowledged := make([][]channel.Position, len(publishers))
	for i, p := range publishers {
		acknowledged[i] = p.acknowledged
		t.Logf("publisher %d: cut %d times, %d attempts repeated", i, p.cuts.Load(), p.retried)
	}
	for name, list := range ledgers {
		for i, l := range list {
			if err := l.check(acknowledged); err != nil {
				t.Errorf("%s, client %d: %v", name, i, err)
			}
		}
		var cuts []int64
		for _, r := range readings[name] {
			cuts = append(cuts, r.cuts.Load())
		}
		slices.Sort(cuts)
		t.Logf("%s: %d clients, each cut %d to %d times", name, clients, cuts[0], cuts[len(cuts)-1])
		if cuts[len(cuts)-1] == 0 {
			t.Errorf("%s: nobody was cut", name)
		}
	}
	t.Logf("%d messages to %d clients in %v", each*len(publish), clients*len(transports), took.Round(time.Millisecond))
}
