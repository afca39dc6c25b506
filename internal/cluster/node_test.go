package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
)

// member is a node and what it was told of others.
type member struct {
	*cluster.Node
	bus *membus.Bus

	mu   sync.Mutex
	news []string
	gaps int
}

func join(t *testing.T, w *membus.Network, o cluster.Options) *member {
	t.Helper()
	m := &member{bus: w.Bus()}
	n, err := cluster.Join(m.bus, o)
	if err != nil {
		t.Fatal(err)
	}
	m.Node = n
	t.Cleanup(func() { leave(t, n) })
	n.OnPeer(func(p cluster.Peer, there bool) {
		sign := map[bool]string{true: "+", false: "-"}[there]
		m.mu.Lock()
		defer m.mu.Unlock()
		m.news = append(m.news, sign+p.Name+string(p.State))
	})
	n.OnGap(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.gaps++
	})
	return m
}

func leave(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.Leave(context.WithoutCancel(t.Context())); err != nil && !errors.Is(err, cluster.ErrAway) && !errors.Is(err, cluster.ErrClosed) {
		t.Error(err)
	}
}

// told is what it was told since the last time.
func (m *member) told() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := m.news
	m.news = nil
	slices.Sort(news)
	return strings.Join(news, " ")
}

func (m *member) gapsSeen() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gaps
}

func (m *member) names() string {
	var names []string
	for _, p := range m.Peers() {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// three are nodes a, b and c that know each other.
func three(t *testing.T, w *membus.Network) (a, b, c *member) {
	t.Helper()
	a = join(t, w, cluster.Options{Name: "a"})
	b = join(t, w, cluster.Options{Name: "b"})
	c = join(t, w, cluster.Options{Name: "c"})
	synctest.Wait()
	expect(t, "a sees", a.names(), "b c")
	expect(t, "b sees", b.names(), "a c")
	expect(t, "c sees", c.names(), "a b")
	expect(t, "a is told", a.told(), "+b +c")
	b.told()
	c.told()
	return a, b, c
}

func TestMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, c := three(t, w)
		if err := b.SetState([]byte(`{"draining":true}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "a is told", a.told(), `+b{"draining":true}`)
		leave(t, c.Node)
		synctest.Wait()
		expect(t, "a is told", a.told(), "-c")
		expect(t, "a sees", a.names(), "b")
		time.Sleep(time.Minute)
		expect(t, "a is told", a.told(), "")
		if got := a.gapsSeen(); got != 0 {
			t.Errorf("%d gaps", got)
		}
	})
}

func TestSinceNeedsNoClockOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		join(t, w, cluster.Options{Name: "old"})
		began := time.Now()
		time.Sleep(time.Hour)
		b := join(t, w, cluster.Options{Name: "b"})
		synctest.Wait()
		if since := b.Peers()[0].Since; since.Sub(began).Abs() > time.Second {
			t.Errorf("since %v, want %v", since, began)
		}
	})
}

func TestDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := three(t, new(membus.Network))
		_ = b.bus.Close()
		time.Sleep(4 * time.Second)
		expect(t, "a is told", a.told(), "")
		time.Sleep(3 * time.Second)
		expect(t, "a is told", a.told(), "-b")
		expect(t, "c is told", c.told(), "-b")
		// The one without a bus calls nobody dead: it knows nothing of them.
		expect(t, "b is told", b.told(), "")
		if b.Err() == nil || a.Err() != nil {
			t.Errorf("b: %v; a: %v", b.Err(), a.Err())
		}
		if got := a.Stats().Dead; got != 1 {
			t.Errorf("%d dead", got)
		}
	})
}

// Silent in both directions: it notices by itself. Only what it sends is lost: it hears nothing of itself. Only what it is sent: likewise.
func TestBackFromSilence(t *testing.T) {
	for name, cut := range map[string][2]bool{"both": {true, true}, "in": {true, false}, "out": {false, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, c := three(t, new(membus.Network))
				b.bus.Cut(cut[0], cut[1])
				time.Sleep(30 * time.Second)
				dead := cut[1]
				want := map[bool]string{true: "-b", false: ""}[dead]
				expect(t, "a is told", a.told(), want)
				expect(t, "c is told", c.told(), want)
				if !errors.Is(b.Err(), cluster.ErrAway) {
					t.Errorf("b: %v", b.Err())
				}
				b.bus.Cut(false, false)
				time.Sleep(2 * time.Second)
				expect(t, "a is told", a.told(), strings.Replace(want, "-", "+", 1))
				expect(t, "b is told", b.told(), "")
				if b.gapsSeen() == 0 {
					t.Error("b was told of no gap")
				}
				if b.Err() != nil {
					t.Error(b.Err())
				}
				time.Sleep(time.Minute)
				expect(t, "a is told", a.told(), "")
				if got := b.gapsSeen(); got > 3 {
					t.Errorf("%d gaps", got)
				}
			})
		})
	}
}

// What one sends is lost on the way to the others, but not to itself: only they can tell it.
func TestCalledDeadWithoutKnowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		w.Fate(func(p membus.Passage) membus.Fate {
			return membus.Fate{Drop: p.From == b.bus && p.To != b.bus}
		})
		time.Sleep(20 * time.Second)
		expect(t, "a is told", a.told(), "-b")
		if got := b.gapsSeen(); got != 0 || b.Err() != nil {
			t.Fatalf("b knows already: %d gaps, %v", got, b.Err())
		}
		w.Fate(nil)
		time.Sleep(3 * time.Second)
		expect(t, "a is told", a.told(), "+b")
		if b.gapsSeen() == 0 {
			t.Error("b was told of no gap")
		}
	})
}

// stopper is a bus on which a process stands still when it sends.
type stopper struct {
	cluster.Bus
	still atomic.Int64 // for how long
}

func (s *stopper) Publish(subject string, data []byte) error {
	time.Sleep(time.Duration(s.still.Swap(0)))
	return s.Bus.Publish(subject, data)
}

// A process stands still, for so long that it would call all others dead if it did not notice.
func TestStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		s := &stopper{Bus: w.Bus()}
		n, err := cluster.Join(s, cluster.Options{Name: "s"})
		if err != nil {
			t.Fatal(err)
		}
		defer leave(t, n)
		m := &member{Node: n}
		n.OnPeer(func(p cluster.Peer, there bool) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if !there {
				m.news = append(m.news, "-"+p.Name)
			}
		})
		n.OnGap(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.gaps++
		})
		time.Sleep(3 * time.Second)
		a.told()
		b.told()
		s.still.Store(int64(time.Minute))
		time.Sleep(30 * time.Second)
		expect(t, "a is told", a.told(), "-s")
		time.Sleep(40 * time.Second)
		expect(t, "a is told", a.told(), "+s")
		expect(t, "it is told", m.told(), "")
		if m.gapsSeen() == 0 {
			t.Error("it was told of no gap")
		}
	})
}

func TestBrokerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := three(t, new(membus.Network))
		all := []*member{a, b, c}
		for _, m := range all {
			m.bus.Away(true)
		}
		time.Sleep(time.Hour)
		if _, err := a.Ask(t.Context(), b.ID(), "hi", nil); !errors.Is(err, cluster.ErrAway) && !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("asking with the broker away: %v", err)
		}
		for _, m := range all {
			m.bus.Away(false)
		}
		time.Sleep(10 * time.Second)
		for _, m := range all {
			expect(t, "told", m.told(), "")
			if m.gapsSeen() == 0 || m.Err() != nil {
				t.Errorf("%d gaps, %v", m.gapsSeen(), m.Err())
			}
		}
	})
}

// A broker that comes back without one of them: that one is called dead then.
func TestBrokerBackWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := three(t, new(membus.Network))
		for _, m := range []*member{a, b, c} {
			m.bus.Away(true)
		}
		time.Sleep(time.Minute)
		a.bus.Away(false)
		b.bus.Away(false)
		time.Sleep(10 * time.Second)
		expect(t, "a is told", a.told(), "-c")
	})
}

func TestTwoWithOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		old := join(t, w, cluster.Options{Name: "old", ID: "Samely"})
		c := join(t, w, cluster.Options{Name: "c"})
		time.Sleep(time.Minute)
		young := join(t, w, cluster.Options{Name: "young", ID: "Samely"})
		time.Sleep(3 * time.Second)
		if old.ID() != "Samely" || young.ID() == "Samely" {
			t.Errorf("old %s, young %s", old.ID(), young.ID())
		}
		expect(t, "c sees", c.names(), "old young")
		expect(t, "young sees", young.names(), "c old")
		expect(t, "old sees", old.names(), "c young")
		if young.gapsSeen() == 0 {
			t.Error("the young one was not told")
		}
		c.Handle("name", func(context.Context, string, []byte) ([]byte, error) { return []byte("c"), nil })
		if got, err := young.Ask(t.Context(), c.ID(), "name", nil); err != nil || string(got) != "c" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// listening is a bus that counts for what it listens, and has something done before.
type listening struct {
	*membus.Bus
	before atomic.Pointer[func()]
	now    atomic.Int64
}

func (l *listening) Listen(subject string, f func([]byte)) (func(), error) {
	if f := l.before.Load(); f != nil {
		(*f)()
	}
	l.now.Add(1)
	stop, err := l.Bus.Listen(subject, f)
	return sync.OnceFunc(func() {
		l.now.Add(-1)
		stop()
	}), err
}

// A node that leaves while it takes another id listens for nothing any more.
func TestLeaveMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		join(t, w, cluster.Options{Name: "old", ID: "Samely"})
		time.Sleep(time.Minute)
		bus := &listening{Bus: w.Bus()}
		young, err := cluster.Join(bus, cluster.Options{Name: "young", ID: "Samely"})
		if err != nil {
			t.Fatal(err)
		}
		leave := sync.OnceFunc(func() {
			if err := young.Leave(t.Context()); err != nil {
				t.Error(err)
			}
		})
		bus.before.Store(&leave)
		time.Sleep(3 * time.Second)
		_ = bus.Close()
		if n := bus.now.Load(); n != 0 {
			t.Errorf("it listens %d times", n)
		}
	})
}

func TestTwoAtOnceWithOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a := join(t, w, cluster.Options{Name: "a", ID: "Samely"})
		b := join(t, w, cluster.Options{Name: "b", ID: "Samely"})
		time.Sleep(3 * time.Second)
		if a.ID() == b.ID() || a.ID() != "Samely" && b.ID() != "Samely" {
			t.Errorf("%s, %s", a.ID(), b.ID())
		}
		expect(t, "a sees", a.names(), "b")
		expect(t, "b sees", b.names(), "a")
	})
}

// A hundred nodes: what crosses the broker is one heartbeat of each a second, whoever is there.
func TestHundred(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		var all []*member
		for i := range 100 {
			all = append(all, join(t, w, cluster.Options{Name: fmt.Sprint("node", i), State: []byte(`{"connections":12345,"url":"http://10.0.0.1:8080"}`)}))
		}
		time.Sleep(1500 * time.Millisecond)
		for _, m := range all {
			if got := len(m.Peers()); got != 99 {
				t.Fatalf("%d peers", got)
			}
		}
		before := w.Count()
		time.Sleep(3 * time.Second)
		after := w.Count()
		published, delivered := after.Published-before.Published, after.Delivered-before.Delivered
		if published != 300 || delivered != 30_000 {
			t.Errorf("%d published, %d delivered in 3 s", published, delivered)
		}
		t.Logf("a heartbeat takes %d bytes", (after.PublishedBytes-before.PublishedBytes)/published)
		for _, m := range all {
			m.Handle("name", func(context.Context, string, []byte) ([]byte, error) { return []byte(m.ID()), nil })
		}
		answers, missing, err := all[0].AskAll(t.Context(), "name", nil)
		if len(answers) != 99 || missing != nil || err != nil {
			t.Errorf("%d answers, %v missing, %v", len(answers), missing, err)
		}
	})
}
