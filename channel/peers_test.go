package channel

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowds is peers in memory: what hubs tell each other comes later, in order, or when the test lets it.
type crowds struct {
	mu    sync.Mutex
	peers []*fakePeers
}

type fakePeers struct {
	all   *crowds
	hub   string
	here  func(name string) Presence
	rooms map[string]Crowd
	mine  map[string]map[string]Member
	queue []func()
}

func (a *crowds) hubs(t *testing.T, n int, o Options) (hubs []*Hub) {
	for i := range n {
		p := &fakePeers{all: a, hub: fmt.Sprint("hub ", i), rooms: map[string]Crowd{}, mine: map[string]map[string]Member{}}
		a.peers = append(a.peers, p)
		o.Peers = p
		hubs = append(hubs, NewHub(&o))
	}
	return hubs
}

// run hands over what waits, on this goroutine.
func (a *crowds) run() {
	for {
		a.mu.Lock()
		var f func()
		for _, p := range a.peers {
			if len(p.queue) > 0 && f == nil {
				f, p.queue = p.queue[0], p.queue[1:]
			}
		}
		a.mu.Unlock()
		if f == nil {
			return
		}
		f()
	}
}

// post has the crowd of a channel on another hub told. The lock is held.
func (p *fakePeers) post(name string, f func(Crowd)) {
	p.queue = append(p.queue, func() {
		p.all.mu.Lock()
		room := p.rooms[name]
		p.all.mu.Unlock()
		if room != nil {
			f(room)
		}
	})
}

func (p *fakePeers) Begin(here func(name string) Presence) { p.here = here }

func (p *fakePeers) Enter(name string, c Crowd) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if p.rooms[name] != nil {
		panic("entered twice")
	}
	p.rooms[name], p.mine[name] = c, map[string]Member{}
	for _, other := range p.all.peers {
		if members := slices.Collect(maps.Values(other.mine[name])); other != p && len(members) > 0 {
			p.post(name, func(c Crowd) { c.Are(other.hub, members) })
		}
	}
	p.post(name, func(c Crowd) { c.Whole() })
}

func (p *fakePeers) Leave(name string) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.rooms, name)
	delete(p.mine, name)
}

func (p *fakePeers) Joined(name string, m Member) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if _, there := p.mine[name][m.Client]; there {
		panic("joined twice")
	}
	p.mine[name][m.Client] = m
	for _, other := range p.all.peers {
		if other != p {
			other.post(name, func(c Crowd) { c.Changed(p.hub, []Member{m}, nil) })
		}
	}
}

func (p *fakePeers) Left(name, client string) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if _, there := p.mine[name][client]; !there {
		panic("left twice")
	}
	delete(p.mine[name], client)
	for _, other := range p.all.peers {
		if other != p {
			other.post(name, func(c Crowd) { c.Changed(p.hub, nil, []string{client}) })
		}
	}
}

func (p *fakePeers) Ask(_ context.Context, name string, _ int) (all Presence) {
	for _, other := range p.all.peers {
		there := other.here(name)
		all.Members = append(all.Members, there.Members...)
		all.Clients += there.Clients
	}
	all.Missing = []string{"asked"}
	return all
}

// Who is there is who is there on any hub; a connection or a user that is on two is there once, and leaves once.
func TestPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all crowds
		hubs := all.hubs(t, 2, *withPresence())
		a, b := hubs[0], hubs[1]
		var w watcher
		sub := join(t, a, "a", &w, Member{Client: "watcher"})
		all.run()
		sub.Presence(0, w.snapshot) // from here on it checks each event
		one := join(t, b, "a", &recorder{}, Member{Client: "1", User: "ana", Info: []byte(`{}`)})
		two := join(t, a, "a", &recorder{}, Member{Client: "2", User: "ana"})
		all.run()
		moved := join(t, a, "a", &recorder{}, Member{Client: "1", User: "ana"})
		one.Close()
		time.Sleep(peerLag)
		synctest.Wait()
		all.run()
		for _, h := range hubs {
			p, err := h.Presence("a", 0)
			if err != nil || p.Clients != 3 || p.Users != 1 || !maps.Equal(clients(p), map[string]string{"watcher": "", "1": "ana", "2": "ana"}) || p.Missing != nil {
				t.Errorf("%+v, %v", p, err)
			}
		}
		if i, err := b.Info("a"); err != nil || i.Clients != 3 || i.Users != 1 {
			t.Errorf("the other hub says %+v, %v", i, err)
		}
		two.Close()
		time.Sleep(peerLag)
		moved.Close()
		join(t, a, "a", &recorder{}, Member{Client: "1", User: "ana"}).Close() // back, and gone
		time.Sleep(peerLag)
		synctest.Wait()
		if want := []string{"+2", "+1", "-2", "-1"}; !slices.Equal(w.log, want) {
			t.Errorf("told %q, want %q", w.log, want)
		}

		// A hub vanishes, and is back.
		three := join(t, b, "a", &recorder{}, Member{Client: "3", User: "ben"})
		all.run()
		all.peers[0].rooms["a"].Are("hub 1", nil)
		all.peers[0].rooms["a"].Are("hub 1", nil)
		if got := w.view(); len(got) != 1 {
			t.Errorf("there are %v", got)
		}
		all.peers[0].rooms["a"].Are("hub 1", []Member{{Client: "3", User: "ben"}, {Client: "4"}})
		all.peers[0].rooms["a"].Are("hub 1", []Member{{Client: "3", User: "ben"}})
		if got := w.view(); !maps.Equal(got, map[string]string{"watcher": "", "3": "ben"}) {
			t.Errorf("there are %v", got)
		}
		three.Close()
		sub.Close()
	})
}

// A channel that comes to life says at once who is in it elsewhere; one that has no presence asks; one that vanishes is left.
func TestPeersLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all crowds
		o := *withPresence()
		o.HistoryAge = time.Minute
		hubs := all.hubs(t, 2, o)
		a, b := hubs[0], hubs[1]
		sub := join(t, a, "a", &recorder{}, Member{Client: "1"})
		go func() {
			time.Sleep(time.Second)
			all.run()
		}()
		if p, err := b.Presence("a", 0); err != nil || p.Clients != 1 || p.Missing == nil {
			t.Errorf("asked: %+v, %v", p, err)
		}
		other := join(t, b, "a", &recorder{}, Member{Client: "2"})
		began := time.Now()
		if p, err := b.Presence("a", 0); err != nil || p.Clients != 2 || p.Missing != nil || time.Since(began) != time.Second {
			t.Errorf("waited for: %+v, %v, after %v", p, err, time.Since(began))
		}
		late := join(t, b, "late", &recorder{}, Member{Client: "2"})
		if p, err := b.Presence("late", 0); err != nil || p.Clients != 1 || time.Since(began) != time.Second+wholeWithin {
			t.Errorf("waited for in vain: %+v, %v, after %v", p, err, time.Since(began))
		}
		late.Close()

		// The rules are replaced, and again.
		if err := b.SetRules(nil); err != nil {
			t.Fatal(err)
		}
		all.run()
		if p, err := b.Presence("a", 0); err != nil || p.Clients != 2 || p.Missing == nil {
			t.Errorf("without presence: %+v, %v", p, err)
		}
		other.Presence(0, func(p Presence) {
			if p.Clients != 2 || p.Missing == nil {
				t.Errorf("without presence: %+v", p)
			}
		})
		if err := b.SetRules(o.Rules); err != nil {
			t.Fatal(err)
		}
		all.run()
		if p, err := b.Presence("a", 0); err != nil || p.Clients != 2 || p.Missing != nil {
			t.Errorf("with presence again: %+v, %v", p, err)
		}
		other.Close()
		sub.Close()
		all.run()
		time.Sleep(time.Hour)
		all.mu.Lock()
		defer all.mu.Unlock()
		if n := len(all.peers[0].rooms) + len(all.peers[1].rooms); n != 0 {
			t.Errorf("%d channels were not left", n)
		}
	})
}

// Whatever comes and goes where, all hubs agree in the end, and whoever watches from a snapshot on is told of each once.
func TestPeersModel(t *testing.T) { synctest.Test(t, testPeersModel) }

func testPeersModel(t *testing.T) {
	const workers, rounds = 2, 100
	var all crowds
	hubs := all.hubs(t, 3, *withPresence())
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			all.run()
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	var observers []*watcher
	var open []*Subscription
	for i, h := range hubs {
		w := new(watcher)
		sub := join(t, h, "a", w, Member{Client: fmt.Sprint("observer ", i)})
		sub.Presence(0, w.snapshot)
		observers, open = append(observers, w), append(open, sub)
	}
	var wg sync.WaitGroup
	for n, h := range hubs {
		for k := range workers {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), uint64(k)))
				var mine []*Subscription
				for range rounds {
					if len(mine) > 0 && random.IntN(2) == 0 {
						i := random.IntN(len(mine))
						mine[i].Close()
						mine = slices.Delete(mine, i, i+1)
						continue
					}
					// A client is on several hubs now and then, always of the same user.
					client := random.IntN(10)
					sub, err := h.Join("a", Now(), &recorder{}, Member{Client: fmt.Sprint(client), User: []string{"", "ana", "ben"}[client%3]})
					if err != nil {
						t.Error(err)
						return
					}
					mine = append(mine, sub)
				}
				for _, sub := range mine[:len(mine)/2] {
					sub.Close()
				}
			})
		}
	}
	wg.Wait()
	time.Sleep(peerLag + 100*time.Millisecond)
	for _, h := range hubs {
		if _, err := h.Presence("a", 0); err != nil { // those who left are told of
			t.Fatal(err)
		}
	}
	close(done)
	<-ended
	all.run()
	want, err := hubs[0].Presence("a", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range hubs {
		got, err := h.Presence("a", 0)
		if err != nil || !maps.Equal(clients(got), clients(want)) || got.Users != want.Users {
			t.Errorf("hub %d: %+v, %v; the first has %+v", i, got, err, want)
		}
		if view := observers[i].view(); !maps.Equal(view, clients(want)) {
			t.Errorf("observer %d sees %v, there are %v", i, view, clients(want))
		}
	}
	for _, sub := range open {
		sub.Close()
	}
}
