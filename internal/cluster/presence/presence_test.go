package presence_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/cluster/presence"
)

// node is a hub in a cluster.
type node struct {
	*channel.Hub
	t     testing.TB
	bus   *membus.Bus
	node  *cluster.Node
	peers *presence.Peers
	end   func()
}

// withPresence has channels that begin with "p" have presence.
func withPresence(t testing.TB) channel.Options {
	p, err := channel.ParsePattern("p/**")
	if err != nil {
		t.Fatal(err)
	}
	return channel.Options{Rules: []channel.Rule{{Pattern: p, Settings: channel.Settings{Presence: true}}}}
}

func newNode(t testing.TB, w *membus.Network) *node {
	t.Helper()
	n := &node{t: t, bus: w.Bus()}
	var err error
	if n.node, err = cluster.Join(n.bus, cluster.Options{}); err != nil {
		t.Fatal(err)
	}
	n.peers = presence.New(n.node, n.bus, presence.Options{})
	o := withPresence(t)
	o.Peers = n.peers
	n.Hub = channel.NewHub(&o)
	n.end = sync.OnceFunc(func() {
		_ = n.Close()
		n.peers.Close()
		_ = n.node.Leave(context.Background())
		_ = n.bus.Close()
	})
	t.Cleanup(n.end)
	return n
}

// cluster3 is three nodes that know each other.
func cluster3(t *testing.T) (*membus.Network, []*node) {
	w := new(membus.Network)
	nodes := []*node{newNode(t, w), newNode(t, w), newNode(t, w)}
	time.Sleep(3 * time.Second)
	return w, nodes
}

func (n *node) join(name, client, user string) *channel.Subscription {
	n.t.Helper()
	return n.joinAs(name, channel.SubscriberFunc(func(*channel.Message) {}), channel.Member{Client: client, User: user, Info: []byte(`{"of":"` + user + `"}`)})
}

func (n *node) joinAs(name string, s channel.Subscriber, m channel.Member) *channel.Subscription {
	n.t.Helper()
	sub, err := n.Join(name, channel.Now(), s, m)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(sub.Close)
	return sub
}

func (n *node) there(name string) (string, channel.Presence) {
	n.t.Helper()
	p, err := n.Presence(name, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	var all []string
	for _, m := range p.Members {
		all = append(all, m.Client+"="+m.User)
	}
	slices.Sort(all)
	return strings.Join(all, " "), p
}

// agree says whether all nodes know who is there.
func agree(t *testing.T, nodes []*node, name, want string) {
	t.Helper()
	users := map[string]bool{}
	for m := range strings.FieldsSeq(want) {
		_, user, _ := strings.Cut(m, "=")
		users[user] = true
	}
	delete(users, "")
	for i, n := range nodes {
		got, p := n.there(name)
		if got != want || p.Clients != len(strings.Fields(want)) || p.Users != len(users) || len(p.Missing) != 0 {
			t.Errorf("node %d has %q, want %q: %d clients, %d users, missing %v", i, got, want, p.Clients, p.Users, p.Missing)
		}
	}
}

// watcher notes what it is told.
type watcher struct {
	mu  sync.Mutex
	log []string
}

func (w *watcher) Deliver(*channel.Message) {}

func (w *watcher) DeliverPresence(e *channel.PresenceEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sign := map[bool]string{true: "+", false: "-"}[e.Joined]
	w.log = append(w.log, fmt.Sprintf("%s%s %d/%d %v%v", sign, e.Member.Client, e.Users, e.Clients, e.First, e.Last))
}

func (w *watcher) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}

// converge is what is stated.
const converge = 10 * time.Second

// Who joins and leaves anywhere does so everywhere, soon, and who watches is told of it once.
func TestPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, nodes := cluster3(t)
		a, b, c := nodes[0], nodes[1], nodes[2]
		var w watcher
		a.joinAs("p/a", &w, channel.Member{Client: "w"})
		time.Sleep(100 * time.Millisecond)
		b.join("p/a", "1", "ana")
		time.Sleep(100 * time.Millisecond)
		two := c.join("p/a", "2", "ana")
		time.Sleep(100 * time.Millisecond)
		agree(t, nodes, "p/a", "1=ana 2=ana w=")
		_, p := c.there("p/a")
		for _, m := range p.Members {
			if string(m.Info) != `{"of":"`+m.User+`"}` && m.Client != "w" || m.Since.IsZero() {
				t.Errorf("%+v", m)
			}
		}
		two.Close()
		time.Sleep(300 * time.Millisecond)
		agree(t, nodes, "p/a", "1=ana w=")
		if got, want := w.told(), []string{"+1 1/2 truefalse", "+2 1/3 falsefalse", "-2 1/2 falsefalse"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}

		// To another node: nobody has left.
		one := a.join("p/a", "3", "ben")
		time.Sleep(time.Second)
		w.told()
		b.join("p/a", "3", "ben")
		one.Close()
		time.Sleep(time.Second)
		if got := w.told(); len(got) != 0 {
			t.Errorf("a client moved, and told was %q", got)
		}
		agree(t, nodes, "p/a", "1=ana 3=ben w=")

		// Who comes later knows at once.
		late := newNode(t, network)
		time.Sleep(2 * time.Second)
		late.join("p/a", "4", "")
		agree(t, []*node{late}, "p/a", "1=ana 3=ben 4= w=")
		late.end()
		time.Sleep(time.Second)
		agree(t, nodes, "p/a", "1=ana 3=ben w=")
	})
}

// A channel without presence, or that does not live where one asks, is asked about.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, nodes := cluster3(t)
		nodes[0].join("q", "1", "ana")
		nodes[1].join("q", "2", "ana")
		nodes[1].join("q", "3", "ben")
		nodes[0].join("q", "3", "ben") // on its way
		agree(t, nodes, "q", "1=ana 2=ana 3=ben")
		nodes[0].join("p/x", "1", "ana")
		time.Sleep(time.Second)
		agree(t, nodes, "p/x", "1=ana")
		for limit, want := range map[int]int{-1: 0, 2: 2} {
			if p, err := nodes[2].Presence("q", limit); err != nil || len(p.Members) != want || p.Clients != 3 && want > 0 || p.Users != 2 {
				t.Errorf("limit %d: %+v, %v", limit, p, err)
			}
		}
		nodes[1].bus.Cut(true, false)
		if _, p := nodes[2].there("q"); len(p.Missing) != 1 || p.Missing[0] != nodes[1].node.ID() {
			t.Errorf("%+v", p)
		}
		nodes[1].bus.Cut(false, false)
		agree(t, nodes, "q", "1=ana 2=ana 3=ben")
	})
}

// Whatever is lost on its way, all agree in time.
func TestLost(t *testing.T) {
	for _, lost := range []int{1, 2} {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, nodes := cluster3(t)
				a, b := nodes[0], nodes[1]
				a.join("p/a", "0", "")
				leaving := b.join("p/a", "1", "ana")
				time.Sleep(converge)
				left := lost
				drop := func(p membus.Passage) membus.Fate {
					if strings.HasPrefix(p.Subject, "presence.") && p.From == b.bus && p.To == a.bus && left > 0 {
						left--
						return membus.Fate{Drop: true}
					}
					return membus.Fate{}
				}
				w.Fate(drop)
				b.join("p/a", "2", "ben")
				time.Sleep(time.Second)
				if got, _ := a.there("p/a"); got != "0= 1=ana" {
					t.Fatalf("nothing was lost: %q", got)
				}
				time.Sleep(converge - time.Second)
				agree(t, nodes, "p/a", "0= 1=ana 2=ben")
				w.Fate(nil)
				left = lost
				w.Fate(drop)
				leaving.Close()
				time.Sleep(converge)
				agree(t, nodes, "p/a", "0= 2=ben")
			})
		})
	}
}

// The members of a node that is cut off leave when it is called dead, and are back when it is: it has missed nothing, either.
func TestNodeAway(t *testing.T) {
	for name, away := range map[string]func(b *membus.Bus, yes bool){
		"partition":          func(b *membus.Bus, yes bool) { b.Cut(yes, yes) },
		"deaf":               func(b *membus.Bus, yes bool) { b.Cut(yes, false) },
		"the broker is away": func(b *membus.Bus, yes bool) { b.Away(yes) },
	} {
		for _, long := range []time.Duration{2 * time.Second, time.Minute} {
			t.Run(fmt.Sprint(name, " for ", long), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					_, nodes := cluster3(t)
					a, b, c := nodes[0], nodes[1], nodes[2]
					var w watcher
					a.joinAs("p/a", &w, channel.Member{Client: "w"})
					b.join("p/a", "1", "ana")
					two := b.join("p/a", "2", "ben")
					gone := c.join("p/a", "3", "")
					time.Sleep(time.Second)
					agree(t, nodes, "p/a", "1=ana 2=ben 3= w=")
					away(b.bus, true)
					b.join("p/a", "4", "")
					two.Close()
					gone.Close()
					c.join("p/a", "5", "")
					c.join("p/new", "6", "")
					b.join("p/new", "7", "")
					time.Sleep(long)
					if got, _ := a.there("p/a"); long > converge && name == "partition" && got != "5= w=" {
						t.Errorf("of the node that is dead there are %q", got)
					}
					away(b.bus, false)
					time.Sleep(converge)
					agree(t, nodes, "p/a", "1=ana 4= 5= w=")
					agree(t, nodes, "p/new", "6= 7=")
				})
			})
		}
	}
	t.Run("for good", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, nodes := cluster3(t)
			nodes[0].join("p/a", "1", "ana")
			nodes[1].join("p/a", "2", "ana")
			var w watcher
			nodes[2].joinAs("p/a", &w, channel.Member{Client: "3"})
			time.Sleep(time.Second)
			w.told()
			nodes[0].bus.Cut(true, true)
			time.Sleep(converge)
			agree(t, nodes[1:], "p/a", "2=ana 3=")
			if got := w.told(); !slices.Equal(got, []string{"-1 1/2 falsefalse"}) {
				t.Errorf("told %q", got)
			}
		})
	})
}

// A channel with more members than fit in a message is known as a whole.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		w.SetMaxBytes(8 << 10)
		a := newNode(t, w)
		var want []string
		for i := range 300 {
			user := fmt.Sprint("user", i%50)
			a.join("p/a", fmt.Sprintf("%04d", i), user)
			want = append(want, fmt.Sprintf("%04d=%s", i, user))
		}
		b := newNode(t, w)
		time.Sleep(3 * time.Second)
		b.join("p/a", "x", "")
		time.Sleep(time.Second)
		agree(t, []*node{a, b}, "p/a", strings.Join(append(want, "x="), " "))

		// And what is about many channels.
		var names []string
		for i := range 500 {
			names = append(names, fmt.Sprint("p/many/", i))
			a.join(names[i], "1", "ana")
		}
		for i, name := range names {
			b.join(name, "2", "")
			if i%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(converge)
		for _, name := range names {
			agree(t, []*node{a, b}, name, "1=ana 2=")
		}
	})
}

// Only nodes where the channel lives hear of who is in it.
func TestInterest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, nodes := cluster3(t)
		a, b, c := nodes[0], nodes[1], nodes[2]
		a.join("p/a", "1", "")
		b.join("p/a", "2", "")
		c.join("p/c", "3", "")
		time.Sleep(converge)
		before := []uint64{a.peers.Stats().Heard, b.peers.Stats().Heard, c.peers.Stats().Heard}
		for i := range 100 {
			a.join("p/a", fmt.Sprint("more ", i), "")
			time.Sleep(50 * time.Millisecond)
		}
		if s := b.peers.Stats(); s.Heard-before[1] < 100 || s.Members != 1 || s.Channels != 1 {
			t.Errorf("where the channel lives: %+v", s)
		}
		if s := a.peers.Stats(); s.Heard != before[0] || s.Told < 100 {
			t.Errorf("where they are: %+v", s)
		}
		if s := c.peers.Stats(); s.Heard != before[2] {
			t.Errorf("where the channel does not live: %+v", s)
		}
	})
}

// What is wrong is ignored, and counted.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, nodes := cluster3(t)
		a, b := nodes[0], nodes[1]
		a.join("p/a", "1", "ana")
		b.join("p/a", "2", "ben")
		time.Sleep(time.Second)
		subject := "presence." + cluster.Word("p/a")
		from := b.node.ID()
		bad := []string{
			"", "\x00{}", "\x09{}", "\x01", "\x01[]", "\x01{", "\x01null", "{}", "\x01" + strings.Repeat("[", 100_000),
			`{"from":"` + from + `"}`,
			"\x01" + `{"from":"` + from + `","seq":1}`,
			"\x01" + `{"from":"` + from + `","life":"` + strings.Repeat("x", 33) + `","seq":1}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":-1}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":1,"joins":[{"c":""}]}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":1,"joins":[{"c":"a\u0000"}]}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":1,"joins":[{"c":"a","u":"` + strings.Repeat("u", 129) + `"}]}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":1,"joins":[{"c":"a","i":{"x":"` + strings.Repeat("u", 5000) + `"}}]}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":1,"parts":[""]}`,
		}
		for _, data := range bad {
			if err := b.bus.Publish(subject, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		for _, kind := range []string{"presence.pull", "presence.page", "presence.who"} {
			for _, data := range []string{"", "\x01", "\x01{", "\x01[]", "\x01{}", "\x01" + `{"n":"\u0000","states":[{"n":5}]}`} {
				_, _ = b.node.Ask(t.Context(), a.node.ID(), kind, []byte(data))
			}
		}
		time.Sleep(time.Second)
		if n := a.peers.Stats().Poisoned; n < uint64(len(bad)) {
			t.Errorf("%d were counted, at least %d are wrong", n, len(bad))
		}
		// What looks right, but is of nobody, or of another life, changes nothing for long; what is new in it is ignored.
		for _, data := range []string{
			"\x01" + `{"from":"nobody","life":"x","seq":1,"joins":[{"c":"forged"}]}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":1,"joins":[{"c":"forged"}]}`,
			"\x01" + `{"from":"` + from + `","life":"x","seq":99,"echo":true,"new":{"a":1}}`,
			"\x02" + `{"from":"` + from + `","life":"x","seq":100,"joins":[{"c":"forged"}]}`,
		} {
			if err := b.bus.Publish(subject, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(converge)
		agree(t, nodes, "p/a", "1=ana 2=ben")
	})
}

// Whatever comes, goes, is lost and is cut, all agree in the end, and those who watch have been told of it.
func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 7))
				w, nodes := cluster3(t)
				fates := rand.New(rand.NewPCG(seed, 8))
				w.Fate(func(membus.Passage) membus.Fate {
					return membus.Fate{
						Drop: fates.IntN(10) == 0, Duplicate: fates.IntN(20) / 19,
						Delay: time.Duration(fates.IntN(30)) * time.Millisecond, Overtake: fates.IntN(20) == 0,
					}
				})
				var views [3]view
				for i, n := range nodes {
					sub := n.joinAs("p/a", &views[i], channel.Member{Client: fmt.Sprint("view ", i)})
					sub.Presence(0, views[i].begin)
				}
				type open struct {
					sub          *channel.Subscription
					node         int
					client, user string
				}
				var all []open
				for range 300 {
					if len(all) > 0 && random.IntN(2) == 0 {
						i := random.IntN(len(all))
						all[i].sub.Close()
						all = slices.Delete(all, i, i+1)
					} else {
						client := random.IntN(12)
						o := open{node: random.IntN(3), client: fmt.Sprint(client), user: []string{"", "ana", "ben"}[client%3]}
						o.sub = nodes[o.node].join("p/a", o.client, o.user)
						all = append(all, o)
					}
					if random.IntN(20) == 0 {
						nodes[random.IntN(3)].bus.Cut(random.IntN(3) == 0, random.IntN(3) == 0)
					}
					time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
				}
				w.Fate(nil)
				for _, n := range nodes {
					n.bus.Cut(false, false)
				}
				time.Sleep(converge)
				want := map[string]string{"view 0": "", "view 1": "", "view 2": ""}
				for _, o := range all {
					want[o.client] = o.user
				}
				var list []string
				for client, user := range want {
					list = append(list, client+"="+user)
				}
				slices.Sort(list)
				for i, n := range nodes {
					if got, _ := n.there("p/a"); got != strings.Join(list, " ") {
						t.Errorf("node %d has %q, want %q", i, got, list)
					}
					views[i].check(t, want)
				}
			})
		})
	}
}

// view is who is there, by what one was told.
type view struct {
	watcher
	there map[string]string
}

func (v *view) begin(p channel.Presence) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.there = map[string]string{}
	for _, m := range p.Members {
		v.there[m.Client] = m.User
	}
}

func (v *view) DeliverPresence(e *channel.PresenceEvent) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.there == nil {
		return
	}
	if _, known := v.there[e.Member.Client]; known == e.Joined {
		panic(fmt.Sprintf("told twice: %+v", e))
	}
	if e.Joined {
		v.there[e.Member.Client] = e.Member.User
	} else {
		delete(v.there, e.Member.Client)
	}
}

func (v *view) check(t *testing.T, want map[string]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !maps.Equal(v.there, want) {
		t.Errorf("who watches was told of %v, want %v", v.there, want)
	}
}
