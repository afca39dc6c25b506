package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cli/exit"
)

// idlers are clients that only listen, of all transports that have a connection of their own, and when the server let each of them go.
type idlers struct {
	ledgers []*ledger
	names   []string
	all     sync.WaitGroup

	mu      sync.Mutex
	ended   []time.Time // when the first connection of each ended
	polling int         // how many are not among these: a poll ends with every message, too
}

// idle has n clients listen until each has seen so many messages of one publisher; who is let go is away for a while.
func idle(ctx context.Context, t *testing.T, url func() string, n, each int, away time.Duration) *idlers {
	kinds := []string{"WebSocket, envelopes", "SSE", "NDJSON", "/ws", "Socket.IO", "Socket.IO over polling", "long polling"}
	all := &idlers{}
	defer func() { all.polling = n / len(kinds) }()
	beginning := make(chan struct{}, 200) // how many connect at a time
	for i := range n {
		name := kinds[i%len(kinds)]
		read := transports[name]
		l := newLedger(1, each)
		all.ledgers, all.names = append(all.ledgers, l), append(all.names, name)
		first := sync.OnceFunc(func() {
			if name == "long polling" {
				return
			}
			all.mu.Lock()
			defer all.mu.Unlock()
			all.ended = append(all.ended, time.Now())
		})
		there := sync.OnceFunc(func() { <-beginning })
		r := &reading{url: url, name: "all", after: l.after, accept: func(m channel.Message) bool {
			there()
			return l.take(m)
		}}
		r.off.Store(true)
		all.all.Go(func() {
			beginning <- struct{}{}
			defer there()
			tries := 0
			err := r.run(ctx, func(ctx context.Context, r *reading) error {
				err := read(ctx, r)
				if err != nil {
					there()
					first()
					pause(ctx, (away+rand.N(5*away))<<min(tries, 2)) // they are told a second, and up to five more
					tries++
				}
				return err
			})
			if err != nil {
				t.Errorf("%s: after %s: %v", name, l.after(), err)
			}
		})
	}
	return all
}

// await waits until all have seen as many messages.
func (i *idlers) await(ctx context.Context, messages int) error {
	for _, l := range i.ledgers {
		for {
			l.mu.Lock()
			seen := len(l.seen[0])
			l.mu.Unlock()
			if seen >= messages {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			pause(ctx, 10*time.Millisecond)
		}
	}
	return nil
}

// histogram is how many ended in each tenth of the window, and how many after it.
func (i *idlers) histogram(began time.Time, window time.Duration) (tenths [10]int, later int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, at := range i.ended {
		if n := int(10 * at.Sub(began) / window); n < 10 {
			tenths[max(n, 0)]++
		} else {
			later++
		}
	}
	return tenths, later
}

// A server that is told to stop lets its clients go evenly, serves who publishes meanwhile, and each of them finds everything on
// the server that follows it, which opens what is kept when the first has gone.
func TestDrain(t *testing.T) {
	clients, window, away := 350, 2*time.Second, 200*time.Millisecond
	if whole {
		clients, window, away = 15_000, 10*time.Second, time.Second
	}
	const messages = 6
	s := newRestarting(t, "--data", t.TempDir(), "--drain-window", window.String(), "--drain-timeout", "2m", "--log-level", "warn", "--admin-listen", "")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()

	tick := make(chan time.Time)
	p := &publishing{reading: reading{url: s.url, name: "all"}, each: messages, pace: tick}
	p.off.Store(true)
	publishing, published := make(chan error, 1), make(chan struct{})
	go func() { publishing <- p.publishHTTP(ctx) }()
	tick <- time.Now()

	began := time.Now()
	all := idle(ctx, t, s.url, clients, messages, away)
	if err := all.await(ctx, 1); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients have connected in %v", clients, time.Since(began).Round(time.Millisecond))

	began = time.Now()
	go func() {
		// One when most have gone, and some are there; then whenever somebody takes them.
		for wait := window * 19 / 20; ; wait = window / 10 {
			pause(ctx, wait)
			select {
			case tick <- time.Now():
			case <-published:
				return
			}
		}
	}()
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK {
		t.Errorf("it ends with %d: %s", code, s.log)
	}
	stopped := time.Since(began)
	s.start()
	if err := <-publishing; err != nil {
		t.Error(err)
	}
	close(published)
	all.all.Wait()
	for i, l := range all.ledgers {
		if err := l.check([][]channel.Position{p.acknowledged}); err != nil {
			t.Errorf("%s: %v", all.names[i], err)
		}
	}
	recovered := time.Since(began)

	clients -= all.polling
	tenths, later := all.histogram(began, window)
	var figure strings.Builder
	for i, n := range tenths {
		fmt.Fprintf(&figure, "\n%4.1f s %6d %s", float64(i+1)*window.Seconds()/10, n, strings.Repeat("#", n*200/clients))
	}
	t.Logf("stopped after %v; all have everything after %v, %d attempts to publish were repeated; %d ended after the window; ended until%s",
		stopped.Round(time.Millisecond), recovered.Round(time.Millisecond), p.retried, later, figure.String())
	// On a machine that stands still for a moment what was due meanwhile comes together.
	most := clients / 2
	if whole {
		most = clients * 20 / 100
		if least := slices.Min(tenths[:]); least < clients*4/100 {
			t.Errorf("only %d ended in one tenth", least)
		}
	}
	if n := slices.Max(tenths[:]); n > most {
		t.Errorf("%d ended in one tenth", n)
	}
	if early := tenths[0] + tenths[1]; early == clients {
		t.Error("all ended at once")
	}
}
