package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
)

// restarting is a server that is killed and comes back, at another address.
type restarting struct {
	t    *testing.T
	args []string
	*process
	at atomic.Pointer[string]
}

func newRestarting(t *testing.T, args ...string) *restarting {
	r := &restarting{t: t, args: append([]string{"--listen", "127.0.0.1:0"}, args...)}
	r.start()
	return r
}

func (r *restarting) start() {
	r.t.Helper()
	r.process = serveCommand(r.t, nil, r.args...)
	r.at.Store(&r.process.url)
}

// kill kills it, and returns what it has logged.
func (r *restarting) kill() string {
	_ = r.Process.Kill()
	_ = r.Wait()
	return r.log.String()
}

// url is where it is at the moment.
func (r *restarting) url() string { return *r.at.Load() }

// A server with a disk store is killed again and again while it is published to. What it has acknowledged everybody reads, in
// order, once, at the place that was acknowledged; a publisher that repeats itself after a kill does not publish twice; and
// never is anybody told that something cannot be recovered.
func TestKill(t *testing.T) {
	kills, life, publishers, readers := 10, 300*time.Millisecond, 8, 1
	if whole {
		kills, life, readers = 100, time.Second, 5
	}
	s := newRestarting(t, "--data", t.TempDir(), "--history-count", "1000000", "--history-bytes", "1000000000", "--history-age", "24h", "--log-level", "warn")
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(kills)*10*time.Second)
	defer cancel()

	enough := make(chan struct{})
	var writing, following sync.WaitGroup
	all := make([]*publishing, publishers)
	for i := range all {
		p := &publishing{reading: reading{url: s.url, name: "all"}, number: i, each: 1 << 30, stop: enough}
		all[i] = p
		writing.Go(func() {
			publish := p.publishHTTP
			if i%2 == 1 {
				publish = p.publishAPI
			}
			if err := publish(ctx); err != nil {
				t.Errorf("publisher %d: %v", i, err)
				cancel()
			}
		})
	}
	var end atomic.Uint64 // the last offset there is, when it is known
	done := func(l *ledger) bool { last := end.Load(); return last > 0 && l.last.Offset >= last }
	var ledgers []*ledger
	var names []string
	for name, read := range transports {
		for range readers {
			l := &ledger{seen: make([][]uint64, publishers+1), whole: done}
			ledgers, names = append(ledgers, l), append(names, name)
			r := &reading{url: s.url, name: "all", accept: l.take, after: l.after}
			following.Go(func() {
				if err := r.run(ctx, read); err != nil {
					t.Errorf("%s: after %s: %v", name, l.after(), err)
				}
			})
		}
	}
	began := time.Now()
	for range kills {
		pause(ctx, rand.N(life))
		if said := s.kill(); said != "" {
			t.Errorf("the log has %s", said)
		}
		s.start()
	}
	took := time.Since(began)
	close(enough)
	writing.Wait()

	// One more message, by which the readers know the end.
	last := &publishing{reading: reading{url: s.url, name: "all"}, number: publishers, each: 1}
	if err := last.publishHTTP(ctx); err != nil {
		t.Fatal(err)
	}
	acknowledged := make([][]channel.Position, publishers+1)
	total, retried := 0, 0
	for i, p := range slices.Concat(all, []*publishing{last}) {
		acknowledged[i] = p.acknowledged
		total += len(p.acknowledged)
		retried += p.retried
	}
	end.Store(last.acknowledged[0].Offset)
	// Those who have read it before end was known wait for another.
	if err := (&publishing{reading: reading{url: s.url, name: "all"}, number: publishers, each: 2, acknowledged: last.acknowledged}).publishHTTP(ctx); err != nil {
		t.Fatal(err)
	}
	following.Wait()
	for i, l := range ledgers {
		acks := acknowledged
		if len(l.seen[publishers]) == 2 { // it has gone on to the other
			l.seen[publishers] = l.seen[publishers][:1]
		}
		if err := l.check(acks); err != nil {
			t.Errorf("%s: %v", names[i], err)
		}
	}
	t.Logf("%d kills in %v, %d messages acknowledged at %s, %d attempts repeated, %d readers", kills, took.Round(time.Millisecond), total, last.acknowledged[0], retried, len(ledgers))
}

// What is damaged of a store is said when the server starts, which then serves what is left.
func TestDamagedStore(t *testing.T) {
	dir := t.TempDir()
	s := newRestarting(t, "--data", dir, "--log-level", "warn", "--log-format", "text")
	p := &publishing{reading: reading{url: s.url, name: "all"}, each: 300}
	if err := p.publishHTTP(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.kill()
	file := dir + "/channels.db"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("0/150/")
	if !bytes.Contains(data, message) {
		t.Fatal("a message is not to be found in the file")
	}
	for at := bytes.Index(data, message); at >= 0; at = bytes.Index(data, message) { // wherever there is a copy of it
		data[at] ^= 0xff
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	// A reader that has seen what is left of is served; one that misses what was dropped is told so.
	if status, text := get(t, s.url()+"c/all?after="+p.acknowledged[200].String()); status != 200 || !strings.Contains(text, "0/201/") {
		t.Errorf("after the damage: status %d, %.200s", status, text)
	}
	if status, text := get(t, s.url()+"c/all?after="+p.acknowledged[100].String()); status != 410 || !strings.Contains(text, "not_recoverable") {
		t.Errorf("before the damage: status %d, %.200s", status, text)
	}
	p.each++
	if err := p.publishHTTP(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := p.acknowledged[300].Offset, p.acknowledged[299].Offset+1; got != want {
		t.Errorf("the next message is at %d, want %d", got, want)
	}
	if said := s.kill(); !strings.Contains(said, "a channel was damaged") || !strings.Contains(said, "messages_dropped=") {
		t.Errorf("the log has %s", said)
	}
}
