package channel

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// watcher is a subscriber that keeps in mind who is there, by what it is told alone.
type watcher struct {
	recorder
	events []*PresenceEvent
	there  map[string]string // clients and their users
	log    []string
}

func (w *watcher) Deliver(m *Message) {
	w.recorder.Deliver(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, string(m.Data))
}

func (w *watcher) DeliverPresence(e *PresenceEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	if e.Joined {
		w.log = append(w.log, "+"+e.Member.Client)
	} else {
		w.log = append(w.log, "-"+e.Member.Client)
	}
	if w.there == nil {
		return
	}
	if _, known := w.there[e.Member.Client]; known == e.Joined {
		panic(fmt.Sprintf("told twice: %+v", e))
	}
	if e.Joined {
		w.there[e.Member.Client] = e.Member.User
	} else {
		delete(w.there, e.Member.Client)
	}
	users := map[string]int{}
	for _, u := range w.there {
		users[u]++
	}
	known := len(users)
	if users[""] > 0 {
		known--
	}
	user := e.Member.User
	if e.Clients != len(w.there) || e.Users != known || e.First != (user != "" && e.Joined && users[user] == 1) ||
		e.Last != (user != "" && !e.Joined && users[user] == 0) {
		panic(fmt.Sprintf("%+v does not fit %v", e, w.there))
	}
}

func (w *watcher) snapshot(p Presence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.there = clients(p)
}

func (w *watcher) view() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.there)
}

func clients(p Presence) map[string]string {
	all := map[string]string{}
	for _, m := range p.Members {
		all[m.Client] = m.User
	}
	return all
}

func withPresence() *Options {
	return &Options{Rules: []Rule{{Pattern: pattern("**"), Settings: Settings{Presence: true}}}}
}

func pattern(text string) Pattern {
	p, err := ParsePattern(text)
	if err != nil {
		panic(err)
	}
	return p
}

func join(t *testing.T, h *Hub, name string, s Subscriber, m Member) *Subscription {
	t.Helper()
	sub, err := h.Join(name, Now(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(withPresence())
		var w watcher
		first := join(t, h, "a", &w, Member{Client: "1", User: "ana", Info: []byte(`{"name":"Ana"}`)})
		publish(t, h, "a", "hello")
		second := join(t, h, "a", &recorder{}, Member{Client: "2", User: "ana"})
		third := join(t, h, "a", &recorder{}, Member{Client: "3"})
		again := join(t, h, "a", &recorder{}, Member{Client: "3", User: "forged"})
		publish(t, h, "a", "all there")
		p, err := h.Presence("a", 0)
		if err != nil || p.Users != 1 || p.Clients != 3 || !maps.Equal(clients(p), map[string]string{"1": "ana", "2": "ana", "3": ""}) {
			t.Errorf("%+v, %v", p, err)
		}
		if p, _ := h.Presence("a", 2); len(p.Members) != 2 || p.Clients != 3 {
			t.Errorf("two of three: %+v", p)
		}
		if p, _ := h.Presence("a", -1); len(p.Members) != 0 || p.Users != 1 {
			t.Errorf("the counts alone: %+v", p)
		}
		third.Close()
		publish(t, h, "a", "one of two gone")
		again.Close()
		second.Close()
		publish(t, h, "a", "gone")
		synctest.Wait()
		want := []string{"hello", "+2", "+3", "all there", "one of two gone", "-3", "-2", "gone"}
		if !slices.Equal(w.log, want) {
			t.Errorf("told %q, want %q", w.log, want)
		}
		first.Close()
		if p, _ := h.Presence("a", 0); p.Clients != 0 || p.Users != 0 || len(p.Members) != 0 {
			t.Errorf("nobody is there: %+v", p)
		}
		if p, err := h.Presence("never", 0); err != nil || p.Clients != 0 || h.Stats().Channels != 1 {
			t.Errorf("%+v, %v of a channel that is not there", p, err)
		}
	})
}

func TestJoinRefuses(t *testing.T) {
	h := NewHub(nil)
	for _, m := range []Member{
		{}, {Client: "a\n"}, {Client: "a", User: "\xff"}, {Client: "a", Info: []byte("{")},
		{Client: "a", Info: fmt.Appendf(nil, "%q", make([]byte, MaxInfoBytes))},
	} {
		if _, err := h.Join("a", Now(), &recorder{}, m); !isInvalid(err) {
			t.Errorf("%+.50v: %v", m, err)
		}
	}
	if _, err := h.Join("a", After(Position{Offset: 9}), &recorder{}, Member{Client: "1"}); err == nil {
		t.Error("it joined from a place that is not there")
	}
	if p, _ := h.Presence("a", 0); p.Clients != 0 {
		t.Errorf("who was refused is there: %+v", p)
	}
}

// Without the setting there is presence, but nobody is told, and no goroutine is needed.
func TestPresenceUntold(t *testing.T) {
	h := NewHub(nil)
	var w watcher
	sub := join(t, h, "a", &w, Member{Client: "1"})
	other := join(t, h, "a", &w, Member{Client: "2"})
	other.Close()
	if p, _ := h.Presence("a", 0); p.Clients != 1 {
		t.Errorf("%+v", p)
	}
	sub.Close()
	if len(w.events) != 0 {
		t.Errorf("told %+v", w.events)
	}
}

// Whoever takes a snapshot and follows the events knows at any time who is there, whatever comes and goes.
func TestPresenceModel(t *testing.T) {
	const workers, rounds = 6, 150
	h := NewHub(withPresence())
	var observers []*watcher
	var open []*Subscription
	for i := range 4 {
		w := new(watcher)
		sub := join(t, h, "a", w, Member{Client: fmt.Sprint("observer ", i)})
		sub.Presence(0, w.snapshot)
		observers, open = append(observers, w), append(open, sub)
	}
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			var mine []*Subscription
			for i := range rounds {
				switch random.IntN(4) {
				case 0:
					if len(mine) > 0 {
						k := random.IntN(len(mine))
						mine[k].Close()
						mine = slices.Delete(mine, k, k+1)
					}
				case 1:
					publish(t, h, "a", "x")
				default:
					var w Subscriber = new(recorder)
					if i%8 == 0 { // checking each event takes time
						w = new(watcher)
					}
					user := []string{"", "ana", "ben"}[random.IntN(3)]
					sub, err := h.Join("a", Now(), w, Member{Client: fmt.Sprintf("%d/%d", n, i), User: user})
					if err != nil {
						t.Error(err)
						return
					}
					if w, ok := w.(*watcher); ok {
						sub.Presence(0, w.snapshot) // from here on it checks each event
					}
					mine = append(mine, sub)
				}
			}
			for i, sub := range mine {
				if i%2 == 0 {
					sub.Close()
				}
			}
		})
	}
	wg.Wait()
	p, err := h.Presence("a", 0)
	if err != nil {
		t.Fatal(err)
	}
	want := clients(p)
	for i, w := range observers {
		if got := w.view(); !maps.Equal(got, want) {
			t.Errorf("observer %d sees %d, there are %d", i, len(got), len(want))
		}
	}
	for _, sub := range open {
		sub.Close()
	}
}

// A transport may hold its own lock when it closes a subscription, and take it when it is told of something.
func TestCloseUnderALock(t *testing.T) {
	h := NewHub(withPresence())
	var locks [2]sync.Mutex
	var wg sync.WaitGroup
	for n := range locks {
		wg.Go(func() {
			for i := range 500 {
				sub, err := h.Join("a", Now(), &locked{&locks[n]}, Member{Client: fmt.Sprint(n, "/", i)})
				if err != nil {
					t.Error(err)
					return
				}
				locks[n].Lock()
				sub.Close()
				locks[n].Unlock()
			}
		})
	}
	wg.Wait()
}

type locked struct{ *sync.Mutex }

func (l *locked) Deliver(*Message) { l.Lock(); defer l.Unlock() }

func (l *locked) DeliverPresence(*PresenceEvent) { l.Lock(); defer l.Unlock() }

// A subscriber's panic while somebody joins leaves nobody behind.
func TestPanicWhileJoining(t *testing.T) {
	h := NewHub(withPresence())
	sub := join(t, h, "a", panicking{}, Member{Client: "1"})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = h.Join("a", Now(), &recorder{}, Member{Client: "2"})
	}()
	sub.Close()
	if p, _ := h.Presence("a", 0); p.Clients != 0 {
		t.Errorf("%+v", p)
	}
}

type panicking struct{}

func (panicking) Deliver(*Message) {}

func (panicking) DeliverPresence(e *PresenceEvent) {
	if e.Joined {
		panic("mistake")
	}
}

func TestOccupied(t *testing.T) {
	var told []string
	h := NewHub(&Options{OnOccupied: func(name string, yes bool) { told = append(told, fmt.Sprint(name, yes)) }})
	one := join(t, h, "a", &recorder{}, Member{Client: "1"})
	var two *Subscription
	two, err := h.Subscribe("a", Now(), SubscriberFunc(func(*Message) {
		one.Close()
		two.Close()
	}))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, h, "a", "x")
	join(t, h, "a", &recorder{}, Member{Client: "1"}).Close()
	if want := []string{"atrue", "afalse", "atrue", "afalse"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestSharedPresence(t *testing.T) {
	h := NewHub(withPresence())
	encoded := 0
	for i := range 3 {
		join(t, h, "a", sharer{&encoded}, Member{Client: fmt.Sprint(i)})
	}
	join(t, h, "a", &recorder{}, Member{Client: "last"})
	if encoded != 3 { // one for each event that somebody is told of
		t.Errorf("encoded %d times, want 3", encoded)
	}
}

type sharer struct{ encoded *int }

func (sharer) Deliver(*Message) {}

func (s sharer) DeliverPresence(e *PresenceEvent) {
	SharedPresence(e, "json", func(*PresenceEvent) string { *s.encoded++; return "" })
}
