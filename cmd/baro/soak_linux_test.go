package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cli/exit"
)

// soakFor is how long TestSoak takes, with BARO_SOAK: 30m for the figures of the docs.
func soakFor(t *testing.T) time.Duration {
	text := os.Getenv("BARO_SOAK")
	if text == "" {
		return 12 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("BARO_SOAK: ", err)
	}
	return d
}

// TestSoak publishes at a steady rate to clients of every transport, which are cut again and again, while the configuration
// is reloaded and the server drained twice. Every message that was acknowledged arrives once, in order, and the server holds at the end
// what it held at the beginning. BARO_SOAK_OUT names a file for a line each second (CSV), and
// with .svg after it the plot.
func TestSoak(t *testing.T) {
	long := soakFor(t)
	const perTransport = 3
	dir := t.TempDir()
	config := filepath.Join(dir, "baro.yml")
	writeRules := func(n int) {
		rules := fmt.Sprintf("channels:\n- {pattern: \"unused/%d\", history: {count: %d}}\n", n, n%100+1)
		if err := os.WriteFile(config, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeRules(0)
	s := newSoaked(t, "--config", config, "--data", filepath.Join(dir, "data"), "--admin-listen", "127.0.0.1:0",
		"--history-count", "100000", "--history-bytes", "64MiB", "--history-age", "2m", "--drain-window", "2s", "--log-level", "warn",
		"--heartbeat", "3s", "--write-timeout", "5s") // after which clients of Socket.IO have gone that were cut between two polls
	idle := s.atRest()
	ctx, cancel := context.WithTimeout(t.Context(), long+4*time.Minute)
	defer cancel()

	enough := make(chan struct{})
	publish := []func(*publishing, context.Context) error{
		(*publishing).publishHTTP, (*publishing).publishAPI, (*publishing).publishSocketIO, (*publishing).publishMultiplexed,
	}
	var writing, following sync.WaitGroup
	publishers := make([]*publishing, len(publish))
	for i, how := range publish {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		p := &publishing{reading: reading{url: s.url, name: "all"}, number: i, each: 1 << 30, stop: enough, pace: tick.C}
		publishers[i] = p
		writing.Go(func() {
			if err := how(p, ctx); err != nil {
				t.Errorf("publisher %d: %v, when %d were acknowledged", i, err, len(p.acknowledged))
				cancel()
			}
		})
	}
	var end atomic.Uint64 // the last offset there is, when it is known
	var ledgers []*ledger
	var readings []*reading
	var names []string
	for name, read := range transports {
		for range perTransport {
			l := &ledger{seen: make([][]uint64, len(publish)+1), whole: func(l *ledger) bool { last := end.Load(); return last > 0 && l.last.Offset >= last }}
			r := &reading{url: s.url, name: "all", accept: l.take, after: l.after}
			ledgers, readings, names = append(ledgers, l), append(readings, r), append(names, name)
			following.Go(func() {
				if err := r.run(ctx, read); err != nil {
					t.Errorf("%s: after %s: %v", name, l.after(), err)
					cancel()
				}
			})
		}
	}

	began := time.Now()
	samples := &sampler{began: began}
	drains := []time.Duration{long * 6 / 10, long * 8 / 10}
	var loaded []held         // of the first process, under load
	reloads, between := 0, 10 // seconds
	if long < time.Minute {
		between = 3
	}
	for tick := time.NewTicker(time.Second); time.Since(began) < long && ctx.Err() == nil; {
		<-tick.C
		now := time.Since(began)
		h := s.measure()
		samples.add(h, readings)
		if len(drains) == 2 {
			loaded = append(loaded, h)
		}
		if reloads++; reloads%between == 0 {
			writeRules(reloads)
			s.reload(t)
		}
		if len(drains) > 0 && now >= drains[0] {
			drains = drains[1:]
			s.drain(t)
			samples.drained()
		}
	}
	close(enough)
	writing.Wait()

	// One more message, by which the readers know the end, and another for those who have read it before that was known.
	last := &publishing{reading: reading{url: s.url, name: "all"}, number: len(publish), each: 1}
	if err := last.publishHTTP(ctx); err != nil {
		t.Fatal(err)
	}
	end.Store(last.acknowledged[0].Offset)
	after := &publishing{reading: reading{url: s.url, name: "all"}, number: len(publish), each: 2, acknowledged: last.acknowledged[:1:1]}
	if err := after.publishHTTP(ctx); err != nil {
		t.Fatal(err)
	}
	following.Wait()
	acknowledged := make([][]channel.Position, len(publish)+1)
	total := 0
	for i, p := range slices.Concat(publishers, []*publishing{last}) {
		acknowledged[i] = p.acknowledged
		total += len(p.acknowledged)
	}
	for i, l := range ledgers {
		if len(l.seen[len(publish)]) == 2 {
			l.seen[len(publish)] = l.seen[len(publish)][:1]
		}
		if err := l.check(acknowledged); err != nil {
			t.Errorf("%s: %v", names[i], err)
		}
	}

	// What was opened is closed, when the last client has gone and its time is over.
	rest := s.atRest()
	for deadline := time.Now().Add(2 * time.Minute); !rest.like(idle) && time.Now().Before(deadline); rest = s.atRest() {
		time.Sleep(200 * time.Millisecond) // another process: there is nothing to wait for but its figures
	}
	if !rest.like(idle) {
		t.Errorf("at the end the server holds %v, at the beginning it held %v", rest, idle)
	}
	if n := len(loaded); n > 60 {
		early, late := middle(loaded[n/10:n/5]), middle(loaded[n-n/10:])
		if late.goroutines > early.goroutines*11/10+20 || late.files > early.files*11/10+20 || late.heap > early.heap*13/10+16<<20 {
			t.Errorf("under the same load the first process held %v, and later %v", early, late)
		}
	}
	var cuts int64
	for _, r := range readings {
		cuts += r.cuts.Load()
	}
	if cuts == 0 {
		t.Error("nobody was cut")
	}
	t.Logf("%v: %d messages acknowledged, read by %d clients that were cut %d times; %d reloads, 2 drains; idle %v, at the end %v",
		time.Since(began).Round(time.Second), total, len(ledgers), cuts, reloads/between, idle, rest)
	if file := os.Getenv("BARO_SOAK_OUT"); file != "" {
		plot, err := plotSoak(samples.table())
		if err != nil {
			t.Error(err)
		}
		if err := errors.Join(os.WriteFile(file, samples.table(), 0o644), os.WriteFile(file+".svg", []byte(plot), 0o644)); err != nil {
			t.Error(err)
		}
	}
}

// soaked is a server that is drained, and comes back at another address.
type soaked struct {
	*restarting
	admin   string // the URL of the second listener
	reloads int64  // of this process
}

func newSoaked(t *testing.T, args ...string) *soaked {
	s := &soaked{restarting: newRestarting(t, args...)}
	s.announced()
	return s
}

// announced reads where the second listener is.
func (s *soaked) announced() {
	s.t.Helper()
	for s.more.Scan() {
		if found := adminURL.FindStringSubmatch(s.more.Text()); found != nil {
			s.admin = found[1]
			return
		}
	}
	s.t.Fatal("no admin listener is announced")
}

func (s *soaked) reload(t *testing.T) {
	t.Helper()
	if err := s.Process.Signal(syscall.SIGHUP); err != nil {
		t.Error(err)
	}
	s.reloads++
}

// drain stops it gently, and starts the next.
func (s *soaked) drain(t *testing.T) {
	t.Helper()
	if done := s.metrics()(`baro_reloads_total{result="ok"}`); s.reloads > 0 && done == 0 {
		t.Errorf("of %d reloads none was done", s.reloads)
	}
	s.reloads = 0
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK {
		t.Errorf("drained with exit code %d: %s", code, s.log)
	}
	s.start()
	s.announced()
}

// held is what a process holds.
type held struct {
	rss, heap         int64 // bytes
	goroutines, files int
	sessions          int // of Socket.IO by polling: nothing else tells of those
}

func (h held) String() string {
	return fmt.Sprintf("%.1f MB (heap %.1f), %d goroutines, %d descriptors", float64(h.rss)/1e6, float64(h.heap)/1e6, h.goroutines, h.files)
}

// like allows for what an idle process may have more than a fresh one: the messages that its channel keeps, and the tables of its store.
func (h held) like(fresh held) bool {
	return h.goroutines <= fresh.goroutines+3 && h.files <= fresh.files+3 && h.sessions == 0 && h.heap <= fresh.heap+16<<20
}

func middle(all []held) held {
	var sum held
	for _, h := range all {
		sum.rss, sum.heap, sum.goroutines, sum.files = sum.rss+h.rss, sum.heap+h.heap, sum.goroutines+h.goroutines, sum.files+h.files
	}
	n := len(all)
	return held{rss: sum.rss / int64(n), heap: sum.heap / int64(n), goroutines: sum.goroutines / n, files: sum.files / n}
}

var adminURL = regexp.MustCompile(`^  Admin +(http\S+)`)

// measure asks the server itself.
func (s *soaked) measure() held {
	s.t.Helper()
	value := s.metrics()
	return held{
		rss: value("process_resident_memory_bytes"), heap: value("go_memstats_heap_inuse_bytes"),
		goroutines: int(value("go_goroutines")), files: int(value("process_open_fds")),
		sessions: int(value(`baro_connections{transport="socketio_polling"}`)),
	}
}

// atRest measures when what nobody holds has been collected.
func (s *soaked) atRest() held {
	s.t.Helper()
	get(s.t, s.admin+"debug/pprof/heap?gc=1")
	http.DefaultClient.CloseIdleConnections()
	return s.measure()
}

// metrics reads all metrics, and tells one.
func (s *soaked) metrics() func(name string) int64 {
	s.t.Helper()
	response, err := http.Get(s.admin + "metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return func(name string) int64 {
		s.t.Helper()
		_, rest, ok := strings.Cut(string(text), "\n"+name+" ")
		line, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(line, 64)
		if !ok || err != nil {
			s.t.Fatalf("%s is not among the metrics: %v", name, err)
		}
		return int64(v)
	}
}

// sampler keeps a line for each second.
type sampler struct {
	began time.Time
	rows  [][]string
}

func (s *sampler) add(h held, readings []*reading) {
	var cuts int64
	for _, r := range readings {
		cuts += r.cuts.Load()
	}
	s.rows = append(s.rows, []string{
		strconv.Itoa(int(time.Since(s.began).Seconds())), strconv.FormatInt(h.rss, 10), strconv.FormatInt(h.heap, 10),
		strconv.Itoa(h.goroutines), strconv.Itoa(h.files), strconv.FormatInt(cuts, 10), "0",
	})
}

// drained marks the last second.
func (s *sampler) drained() { s.rows[len(s.rows)-1][6] = "1" }

func (s *sampler) table() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"second", "rss", "heap", "goroutines", "descriptors", "cuts", "drained"})
	_ = w.WriteAll(s.rows)
	return b.Bytes()
}
