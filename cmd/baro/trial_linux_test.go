package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// A trial is a cluster with publishers and readers, and with members of a channel with presence, while faults befall it. In the end all
// readers have all that was acknowledged, in order, once, and nobody is ever told that something cannot be recovered.
type trial struct {
	*nodes
	ctx   context.Context
	urls  []string // of the nodes, which keep them
	admin []string // second listeners

	enough     chan struct{}
	writing    sync.WaitGroup
	following  sync.WaitGroup
	publishers []*publishing
	readers    []*listening
	turn       atomic.Int64
	stopped    []bool // nodes that stand still
	logs       []string
}

// membersEach is how many members of the room each node has.
const membersEach = 3

// A listening is a reader that has a ledger, and knows when it has last had a message, and the longest time that it had none.
type listening struct {
	ledger
	name string
	node int // -1: it goes from one to the other

	clock   sync.Mutex
	had     time.Time
	longest time.Duration
}

func (r *listening) accept(m channel.Message) bool {
	r.clock.Lock()
	now := time.Now()
	if !r.had.IsZero() {
		r.longest = max(r.longest, now.Sub(r.had))
	}
	r.had = now
	r.clock.Unlock()
	return r.take(m)
}

// startNodesForTrial starts nodes that keep their addresses, have a second listener, much history, and presence in the room.
func startNodesForTrial(t *testing.T, n int, in *namespaces, each func(i int) []string, args ...string) (k *nodes, web, admin []string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "baro.yaml")
	if err := os.WriteFile(config, []byte("channels: [{pattern: room, presence: true, access: {subscribe: anyone, presence: anyone}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free := testkit.FreeAddresses(t, 2*n)
	web, admin = free[:n], free[n:]
	var inside []string
	if in != nil {
		inside = in.names
		for i := range n {
			web[i], admin[i] = in.reached[i]+":8000", in.reached[i]+":8001"
		}
	}
	k = startNodesIn(t, n, inside, func(i int) []string {
		return append([]string{"--listen", web[i], "--admin-listen", admin[i]}, each(i)...)
	}, append(args, "--config", config, "--history-count", "100000", "--history-bytes", "100000000", "--history-age", "24h", "--log-level", "info")...)
	return k, web, admin
}

func startTrial(t *testing.T, limit time.Duration, args ...string) *trial {
	t.Helper()
	return startTrialWith(t, limit, nil, func(int) []string { return nil }, args...)
}

// startTrialWith starts three nodes, each in a namespace of its own if there are any, and the load, and waits until all of it is there.
func startTrialWith(t *testing.T, limit time.Duration, in *namespaces, each func(i int) []string, args ...string) *trial {
	t.Helper()
	k, web, admin := startNodesForTrial(t, 3, in, each, args...)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	l := &trial{nodes: k, ctx: ctx, enough: make(chan struct{}), admin: admin, stopped: make([]bool, 3), logs: make([]string, 3)}
	for _, address := range web {
		l.urls = append(l.urls, "http://"+address+"/")
	}
	t.Cleanup(func() { // before the processes are killed, and whatever has happened
		for i := range l.stopped {
			l.proceed(i)
		}
	})
	const publishers = 4
	for i := range publishers {
		tick := time.NewTicker(25 * time.Millisecond)
		t.Cleanup(tick.Stop)
		p := &publishing{reading: reading{url: l.next, name: "all"}, number: i, each: 1 << 30, stop: l.enough, pace: tick.C}
		l.publishers = append(l.publishers, p)
		l.writing.Go(func() {
			how := p.publishHTTP
			if i%2 == 1 {
				how = p.publishAPI
			}
			if err := how(ctx); err != nil {
				t.Errorf("publisher %d: %v", i, err)
				cancel()
			}
		})
	}
	for i := range l.urls {
		for _, name := range []string{"/ws", "SSE", "long polling"} {
			l.read(name, i, func() string { return l.urls[i] }, publishers+1)
		}
		for range membersEach {
			l.following.Go(func() { l.member(i) })
		}
	}
	for _, name := range []string{"/ws", "SSE", "polling", "Socket.IO over polling"} {
		l.read(name, -1, l.next, publishers+1)
	}
	l.present(3*membersEach, 0, 1, 2)
	l.goesOn()
	return l
}

// next is another node each time, as of a balancer that knows nothing.
func (l *trial) next() string { return l.urls[int(l.turn.Add(1))%len(l.urls)] }

func (l *trial) read(transport string, node int, url func() string, publishers int) {
	r := &listening{name: transport, node: node}
	r.seen = make([][]uint64, publishers)
	r.whole = func(of *ledger) bool { return len(of.seen[publishers-1]) > 0 }
	l.readers = append(l.readers, r)
	c := &reading{url: url, name: "all", accept: r.accept, after: r.after}
	c.off.Store(node >= 0)
	l.following.Go(func() {
		if err := c.run(l.ctx, transports[transport]); err != nil && !l.t.Failed() {
			l.t.Errorf("%s at %d: after %s: %v", transport, node, r.after(), err)
		}
	})
}

// member is in the room at a node, whenever that is there.
func (l *trial) member(node int) {
	c := &reading{url: func() string { return l.urls[node] }}
	c.off.Store(true)
	for ended := l.ended(); ended.Err() == nil; pause(ended, 50*time.Millisecond) {
		conn, err := c.dialMultiplexed(ended)
		if err != nil {
			continue
		}
		err = writeJSON(ended, conn, map[string]any{"id": 1, "subscribe": map[string]any{"channel": "room", "presence": true}})
		var f frame
		for err == nil {
			if f, err = readFrame(ended, conn); f.Error != nil && f.Error.Code != "stopping" && f.Error.Code != "store_failed" {
				l.t.Errorf("a member at %d is refused: %s", node, f.Error.Code)
				return
			}
			if f.Error != nil {
				break
			}
		}
		conn.CloseNow()
	}
}

// ended is done when there is enough.
func (l *trial) ended() context.Context {
	ctx, cancel := context.WithCancel(l.ctx)
	go func() {
		defer cancel()
		select {
		case <-l.enough:
		case <-l.ctx.Done():
		}
	}()
	return ctx
}

// goesOn waits until messages that are published from now on reach all whose nodes are there.
func (l *trial) goesOn() time.Duration {
	l.t.Helper()
	began := time.Now()
	for _, r := range l.readers {
		if r.node >= 0 && l.stopped[r.node] {
			continue
		}
		l.until(func() error {
			r.clock.Lock()
			defer r.clock.Unlock()
			if !r.had.After(began) {
				return fmt.Errorf("%s at %d has had nothing for %v", r.name, r.node, time.Since(began))
			}
			return nil
		})
	}
	return time.Since(began)
}

// until tries until there is no error.
func (l *trial) until(f func() error) {
	l.t.Helper()
	for began := time.Now(); ; pause(l.ctx, 20*time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if l.ctx.Err() != nil || time.Since(began) > time.Minute {
			close(l.enough)
			l.t.Fatalf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
		}
	}
}

// standstill is how long publishing stood still, since it was last asked: the longest time that the luckiest of those that stay had nothing.
func (l *trial) standstill() time.Duration {
	shortest := time.Hour
	for _, r := range l.readers {
		r.clock.Lock()
		if r.node >= 0 && !l.stopped[r.node] {
			shortest = min(shortest, max(r.longest, time.Since(r.had)))
		}
		r.longest = 0
		r.clock.Unlock()
	}
	return shortest.Round(10 * time.Millisecond)
}

// ask has a node answer in JSON; the time for that is short, since it may stand still.
func (l *trial) ask(url string, answer any) error {
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(answer)
}

// present waits until some nodes agree that so many are in the room, and who. It says how long that took.
func (l *trial) present(want int, at ...int) time.Duration {
	l.t.Helper()
	began := time.Now()
	type who struct {
		Clients int
		Members []struct{ Client string }
	}
	l.until(func() error {
		var first []string
		for _, i := range at {
			var w who
			if err := l.ask(l.urls[i]+"api/v1/presence?channel=room", &w); err != nil {
				return err
			}
			var names []string
			for _, m := range w.Members {
				names = append(names, m.Client)
			}
			slices.Sort(names)
			if first == nil {
				first = names
			}
			if w.Clients != want || len(names) != want || !slices.Equal(first, names) {
				return fmt.Errorf("node %d has %d present and not %d: %q", i, w.Clients, want, names)
			}
		}
		return nil
	})
	return time.Since(began).Round(10 * time.Millisecond)
}

// presentWithin is present, in the time that presence promises.
func (l *trial) presentWithin(limit time.Duration, want int, at ...int) time.Duration {
	l.t.Helper()
	took := l.present(want, at...)
	if took > limit {
		l.t.Errorf("presence was right after %v", took)
	}
	return took
}

// metric is one of a node.
func (l *trial) metric(i int, name string) float64 {
	l.t.Helper()
	status, text := get(l.t, "http://"+l.admin[i]+"/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			var f float64
			if _, err := fmt.Sscan(value, &f); err == nil {
				return f
			}
		}
	}
	l.t.Fatalf("node %d: status %d, and no %s", i, status, name)
	return 0
}

// reasons waits until a node says why it is not ready; none: until it is.
func (l *trial) reasons(i int, want ...string) time.Duration {
	l.t.Helper()
	began := time.Now()
	l.until(func() error {
		var r struct {
			Ready   bool
			Reasons []string
		}
		if err := l.ask(l.urls[i]+"readyz", &r); err != nil {
			return err
		}
		if r.Ready != (len(want) == 0) || !slices.Equal(r.Reasons, want) && len(want) > 0 {
			return fmt.Errorf("node %d is ready: %v, %q", i, r.Ready, r.Reasons)
		}
		return nil
	})
	return time.Since(began).Round(10 * time.Millisecond)
}

// healed waits until all nodes are ready, know each other, and have everybody in the room.
func (l *trial) healed() {
	l.t.Helper()
	began := time.Now()
	for i := range l.urls {
		l.reasons(i)
		l.until(func() error {
			if up, peers := l.metric(i, "baro_broker_up"), l.metric(i, "baro_cluster_peers"); up != 1 || peers != 2 {
				return fmt.Errorf("node %d has the broker: %v, and %v peers", i, up, peers)
			}
			return nil
		})
	}
	ready := time.Since(began).Round(10 * time.Millisecond)
	took := l.presentWithin(presenceWithin, 3*membersEach, 0, 1, 2)
	l.t.Logf("healed: all ready after %v, presence right after another %v", ready, took)
	l.goesOn()
}

// presenceWithin is what presence promises, and what the machine may take for it.
const presenceWithin = 15 * time.Second

// standStill stops a process without its knowing.
func (l *trial) standStill(i int) {
	l.t.Helper()
	if err := l.procs[i].Process.Signal(syscall.SIGSTOP); err != nil {
		l.t.Fatal(err)
	}
	l.stopped[i] = true
}

func (l *trial) proceed(i int) {
	if l.stopped[i] {
		_ = l.procs[i].Process.Signal(syscall.SIGCONT)
		l.stopped[i] = false
	}
}

// fell kills a node; its log is kept.
func (l *trial) fell(i int) {
	l.t.Helper()
	l.kill(i)
	l.logs[i] += l.procs[i].log.String()
	l.stopped[i] = true
}

func (l *trial) rise(i int) {
	l.t.Helper()
	l.start(i)
	l.stopped[i] = false
}

// finish ends the load, and compares. It stops the nodes, so that their logs can be read.
func (l *trial) finish() {
	l.t.Helper()
	close(l.enough)
	l.writing.Wait()
	last := &publishing{reading: reading{url: l.next, name: "all"}, number: len(l.publishers), each: 1}
	if err := last.publishHTTP(l.ctx); err != nil {
		l.t.Fatal(err)
	}
	var acknowledged [][]channel.Position
	total, retried := 0, 0
	for _, p := range append(slices.Clone(l.publishers), last) {
		acknowledged = append(acknowledged, p.acknowledged)
		total, retried = total+len(p.acknowledged), retried+p.retried
	}
	l.following.Wait()
	for _, r := range l.readers {
		if err := r.check(acknowledged); err != nil {
			l.t.Errorf("%s at %d: %v", r.name, r.node, err)
		}
	}
	want := l.history(0, "all")
	if len(want) != total {
		l.t.Errorf("the history has %d messages, and %d were acknowledged", len(want), total)
	}
	l.agree("all", want, 1, 2)
	l.t.Logf("%d messages, %d attempts repeated, %d readers", total, retried, len(l.readers))
	l.end()
}

// end stops the nodes.
func (l *trial) end() {
	l.t.Helper()
	for _, p := range l.procs {
		if err := p.Process.Signal(os.Interrupt); err != nil {
			l.t.Error(err)
		}
	}
	for i, p := range l.procs {
		_ = p.Wait()
		if code := p.ProcessState.ExitCode(); code != exit.OK {
			l.t.Errorf("node %d: exit code %d", i, code)
		}
		l.logs[i] += p.log.String()
	}
}

// told is what a node has told the log of at least a level, and how often.
func (l *trial) told(i int) map[string]int {
	l.t.Helper()
	all := map[string]int{}
	for line := range strings.Lines(l.logs[i]) {
		var entry struct{ Level, Msg, Said string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			l.t.Errorf("node %d: a line of the log is %.200q: %v", i, line, err)
			continue
		}
		if entry.Level == "WARN" || entry.Level == "ERROR" {
			all[entry.Msg]++
		}
	}
	return all
}

// quiet wants nothing in the logs again and again, and tells what there is. What NATS says by itself is bounded elsewhere.
func (l *trial) quiet(most int) {
	l.t.Helper()
	for i := range l.procs {
		told := l.told(i)
		for what, n := range told {
			if n > most && what != "nats" {
				l.t.Errorf("node %d has logged %d times: %s", i, n, what)
			}
		}
		l.t.Logf("node %d has logged %v", i, told)
	}
}
