package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/bustest"
	"baro.dev/internal/cluster/natsbus"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
)

var clusters atomic.Int32

func connect(t *testing.T, url string, o natsbus.Options) *natsbus.Bus {
	t.Helper()
	conn, err := nats.Connect(url, natsbus.ConnectOptions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	b, err := natsbus.New(conn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func pairs(urls ...string) func(t *testing.T) (a, b cluster.Bus) {
	return func(t *testing.T) (a, b cluster.Bus) {
		o := natsbus.Options{Prefix: fmt.Sprintf("test.%d", clusters.Add(1))}
		return connect(t, urls[0], o), connect(t, urls[len(urls)-1], o)
	}
}

func TestBusDebian(t *testing.T) {
	bustest.Run(t, pairs("nats://"+brokers.NATS(t).Addr))
}

// Two servers of a cluster.
func TestBusEmbedded(t *testing.T) {
	servers := embedded.NATS(t, 2)
	bustest.Run(t, pairs(servers[0].URL, servers[1].URL))
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("not within %v: %s", testkit.Patience, what)
		}
	}
}

// The broker is killed and comes back: what is sent meanwhile fails, and afterwards what was listened for comes again, and what was listened for
// meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	a, b := pairs("nats://" + server.Addr)(t)
	var gaps, before, during atomic.Int32
	b.OnGap(func() { gaps.Add(1) })
	listen(t, b, "before", &before)
	bustest.Ready(t, a, b)
	server.Kill()
	eventually(t, "it is noticed", func() bool { return a.Err() != nil && b.Err() != nil })
	if err := a.Publish("before", nil); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("sent without a broker: %v", err)
	}
	listen(t, b, "during", &during)
	if got := gaps.Load(); got != 0 {
		t.Errorf("%d gaps before it is back", got)
	}
	server.Restart()
	eventually(t, "it is back", func() bool { return a.Err() == nil && b.Err() == nil && gaps.Load() > 0 })
	eventually(t, "messages come", func() bool {
		_, _ = a.Publish("before", nil), a.Publish("during", nil)
		return before.Load() > 0 && during.Load() > 0
	})
}

func listen(t *testing.T, b cluster.Bus, subject string, count *atomic.Int32) {
	t.Helper()
	if _, err := b.Listen(subject, func([]byte) { count.Add(1) }); err != nil {
		t.Fatal(err)
	}
}

// There is no broker at first.
func TestLate(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	server.Kill()
	a, b := pairs("nats://" + server.Addr)(t)
	var came atomic.Int32
	listen(t, b, "x", &came)
	if err := a.Publish("x", nil); !errors.Is(err, cluster.ErrAway) {
		t.Error(err)
	}
	server.Restart()
	eventually(t, "messages come", func() bool { _ = a.Publish("x", nil); return came.Load() > 0 })
}

// The broker stands still: nothing waits for it, what waits is bounded, and it is noticed.
func TestPause(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	o := natsbus.Options{MaxOutgoing: 1 << 20}
	a, b := connect(t, "nats://"+server.Addr, o), connect(t, "nats://"+server.Addr, o)
	bustest.Ready(t, a, b)
	server.Pause()
	data := make([]byte, 64<<10)
	var took []time.Duration
	refused := 0
	for range 500 { // 32 MB: more than the system takes
		began := time.Now()
		err := a.Publish("x", data)
		took = append(took, time.Since(began))
		if err != nil {
			refused++
			if !errors.Is(err, cluster.ErrAway) {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(took)
	if median := took[len(took)/2]; refused == 0 || median > 10*time.Millisecond {
		t.Errorf("%d were refused; the median took %v", refused, median)
	}
	eventually(t, "it is noticed", func() bool { return a.Err() != nil && b.Err() != nil })
	server.Continue()
	bustest.Ready(t, a, b)
}

// Whoever listens does not keep up: what is more than there is room for is lost, and it is told.
func TestSlow(t *testing.T) {
	servers := embedded.NATS(t, 1)
	o := natsbus.Options{MaxIncoming: 1 << 20}
	a, b := connect(t, servers[0].URL, o), connect(t, servers[0].URL, o)
	release := make(chan struct{})
	var got, gaps atomic.Int32
	if _, err := b.Listen("slow", func([]byte) { <-release; got.Add(1) }); err != nil {
		t.Fatal(err)
	}
	b.OnGap(func() { gaps.Add(1) })
	bustest.Ready(t, a, b)
	const n = 200
	for range n {
		eventually(t, "there is room", func() bool { return a.Publish("slow", make([]byte, 32<<10)) == nil })
	}
	eventually(t, "the gap is told", func() bool { return gaps.Load() > 0 })
	bustest.Ready(t, a, b) // others do not wait
	close(release)
	if got.Load() >= n {
		t.Error("nothing was lost")
	}
}

// Nodes over NATS, and one of its servers is stopped: who was there is elsewhere then.
func TestNodes(t *testing.T) {
	t.Parallel()
	servers := embedded.NATS(t, 3)
	var nodes []*cluster.Node
	for i := range 3 {
		b := connect(t, fmt.Sprintf("%s,%s", servers[i].URL, servers[(i+1)%3].URL), natsbus.Options{})
		n, err := cluster.Join(b, cluster.Options{Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = n.Leave(t.Context()) }()
		n.Handle("who", func(context.Context, string, []byte) ([]byte, error) { return fmt.Append(nil, i), nil })
		nodes = append(nodes, n)
	}
	all := func() bool {
		for _, n := range nodes {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a question may be lost with the server
			answers, missing, err := n.AskAll(ctx, "who", nil)
			cancel()
			if err != nil || len(answers) != 2 || len(missing) != 0 {
				return false
			}
		}
		return true
	}
	eventually(t, "all know each other", all)
	servers[2].Server.Shutdown()
	eventually(t, "all know each other again", all)
}

// The broker stands still for longer than nodes may be silent: nobody is called dead, and all know afterwards that they have missed something.
func TestNobodyIsCalledDeadForTheBroker(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	var nodes []*cluster.Node
	var dead, gaps atomic.Int32
	for range 2 {
		n, err := cluster.Join(connect(t, "nats://"+server.Addr, natsbus.Options{}), cluster.Options{})
		if err != nil {
			t.Fatal(err)
		}
		n.OnPeer(func(_ cluster.Peer, there bool) {
			if !there {
				dead.Add(1)
			}
		})
		n.OnGap(func() { gaps.Add(1) })
		nodes = append(nodes, n)
	}
	eventually(t, "they know each other", func() bool { return len(nodes[0].Peers()) == 1 && len(nodes[1].Peers()) == 1 })
	server.Pause()
	time.Sleep(8 * time.Second) // of silence
	if nodes[0].Err() == nil || nodes[1].Err() == nil {
		t.Error("it was not noticed")
	}
	before := gaps.Load()
	server.Continue()
	eventually(t, "they are back", func() bool { return nodes[0].Err() == nil && nodes[1].Err() == nil && gaps.Load() >= before+2 })
	if dead.Load() != 0 {
		t.Errorf("%d were called dead", dead.Load())
	}
	for _, n := range nodes {
		_ = n.Leave(t.Context())
	}
}
