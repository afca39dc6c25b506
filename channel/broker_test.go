package channel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
)

// reader is a subscriber that remembers, and is told of gaps.
type reader struct {
	mu       sync.Mutex
	messages []*channel.Message
	lost     []*channel.NotRecoverableError
	leaves   bool // when something is lost
}

func (r *reader) Deliver(m *channel.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
}

func (r *reader) Lost(e *channel.NotRecoverableError) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = append(r.lost, e)
	return !r.leaves
}

func (r *reader) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return texts(r.messages)
}

func texts(messages []*channel.Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, string(m.Data))
	}
	return all
}

// node is a hub with a broker of its own on a log.
type node struct {
	*channel.Hub
	broker *brokertest.Broker
	t      *testing.T
}

func newNode(t *testing.T, log *brokertest.Log, o channel.Options) *node {
	n := &node{broker: log.Open(), t: t}
	o.Broker = n.broker
	n.Hub = channel.NewHub(&o)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func (n *node) say(name string, texts ...string) *channel.Message {
	n.t.Helper()
	var last *channel.Message
	for _, text := range texts {
		m, err := n.Publish(name, channel.Message{Data: []byte(text)})
		if err != nil {
			n.t.Fatal(err)
		}
		last = m
	}
	return last
}

func (n *node) read(name string, from channel.From) *reader {
	n.t.Helper()
	r := new(reader)
	sub, err := n.Subscribe(name, from, r)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(sub.Close)
	return r
}

func want(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %q, want %q", what, got, want)
	}
}

// What is published on one hub is read on all, once and in order; the publisher's own subscribers have it when Publish returns.
func TestBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), newNode(t, log, channel.Options{})
		here, there := a.read("news", channel.Now()), b.read("news", channel.Now())
		first := a.say("news", "one")
		want(t, "here", here.texts(), []string{"one"})
		b.say("news", "two")
		synctest.Wait()
		a.say("news", "three")
		all := []string{"one", "two", "three"}
		want(t, "here", here.texts(), all)
		synctest.Wait()
		want(t, "there", there.texts(), all)
		if p := there.messages[0].Position(); p != first.Position() || p != here.messages[0].Position() {
			t.Errorf("it is at %s and %s, published at %s", p, here.messages[0].Position(), first.Position())
		}
		for i, m := range there.messages {
			if m.Offset != uint64(i+1) || m.Epoch != first.Epoch {
				t.Errorf("message %d is at %s", i, m.Position())
			}
		}
		want(t, "on the other", b.read("news", channel.After(first.Position())).texts(), all[1:])
		batch, err := b.Read("news", channel.Oldest(), 0)
		if err != nil || !slices.Equal(texts(batch.Messages), all) {
			t.Errorf("%+v, %v", batch, err)
		}
		want(t, "who comes later", newNode(t, log, channel.Options{}).read("news", channel.Oldest()).texts(), all)
	})
}

// Publishing where nobody listens follows nothing, and is read by who comes then.
func TestBrokerPublishesUnfollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a := newNode(t, log, channel.Options{})
		results := a.PublishAll([]channel.Item{
			{Channel: "a", Message: channel.Message{Data: []byte("one")}},
			{Channel: "", Message: channel.Message{}},
			{Channel: "b", Message: channel.Message{Key: "k"}},
			{Channel: "b", Message: channel.Message{Key: "k"}},
		})
		if a.broker.Following() != 0 || a.Stats().Channels != 0 {
			t.Errorf("%d are followed, %d live", a.broker.Following(), a.Stats().Channels)
		}
		if results[0].Err != nil || !errors.Is(results[1].Err, channel.ErrInvalid) || results[2].Err != nil || !results[3].Duplicate ||
			results[3].Message.Position() != results[2].Message.Position() {
			t.Errorf("%+v", results)
		}
		if i, err := a.Info("a"); err != nil || i.Messages != 1 || i.Position != results[0].Message.Position() || a.broker.Following() != 0 {
			t.Errorf("%+v, %v", i, err)
		}
		if i, err := a.Info("never"); err != nil || i.Position.Offset != 0 {
			t.Errorf("%+v, %v", i, err)
		}
		want(t, "a", a.read("a", channel.Oldest()).texts(), []string{"one"})
		if a.broker.Following() != 1 {
			t.Errorf("%d are followed", a.broker.Following())
		}
	})
}

// A channel that nobody uses is followed for a while, and what is missed then is read by who comes back.
func TestBrokerUnfollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), newNode(t, log, channel.Options{})
		last := a.say("a", "one")
		for range 5 { // it polls
			batch, err := b.Read("a", channel.After(channel.Position{Epoch: last.Epoch}), 0)
			if err != nil || len(batch.Messages) != 1 || b.broker.Following() != 1 {
				t.Fatalf("%+v, %v", batch, err)
			}
			time.Sleep(20 * time.Second)
		}
		sub, err := b.Subscribe("a", channel.Now(), new(reader))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		sub.Close()
		for range 3 { // what is published does not keep it
			a.say("a", "more")
			b.say("a", "more")
			time.Sleep(20 * time.Second)
		}
		if n := b.broker.Following(); n != 0 || b.Stats().Channels != 0 || b.Stats().Bytes != 0 {
			t.Errorf("%d are followed, %+v", n, b.Stats())
		}
		if batch, err := b.Read("a", channel.After(channel.Position{Epoch: last.Epoch, Offset: 1}), 0); err != nil || len(batch.Messages) != 6 {
			t.Errorf("%+v, %v", batch, err)
		}
	})
}

// A reader that has seen more than the hub it comes to is not told that it has missed something: the hub catches up first.
func TestBrokerAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), newNode(t, log, channel.Options{})
		b.read("a", channel.Now())
		b.broker.Cut(true)
		seen := a.say("a", "one", "two")
		go func() {
			time.Sleep(time.Second)
			a.say("a", "three")
			b.broker.Cut(false)
		}()
		began := time.Now()
		want(t, "it goes on with", b.read("a", channel.After(seen.Position())).texts(), []string{"three"})
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
		b.broker.Cut(true)
		seen = a.say("a", "four")
		if _, err := b.Read("a", channel.After(seen.Position()), 0); !errors.Is(err, channel.ErrStore) {
			t.Errorf("the feed does not come, and the reader is told: %v", err)
		}
		b.broker.Cut(false)
		for _, p := range []channel.Position{{Epoch: seen.Epoch, Offset: 5}, {Offset: 5}, {Epoch: "another", Offset: 1}} {
			if _, err := b.Read("a", channel.After(p), 0); !errors.Is(err, channel.ErrNotRecoverable) {
				t.Errorf("after %s: %v", p, err)
			}
			if _, err := b.Subscribe("a", channel.After(p), new(reader)); !errors.Is(err, channel.ErrNotRecoverable) {
				t.Errorf("after %s: %v", p, err)
			}
		}
	})
}

// stale is a broker that answers from what it knew, as one that has stood still does.
type stale struct {
	channel.Broker
	before map[string]channel.Saved // by channel; consumed by the first to ask
}

func (s *stale) Load(name string, recent channel.Keep) (channel.Saved, error) {
	if saved, ok := s.before[name]; ok {
		delete(s.before, name)
		return saved, nil
	}
	return s.Broker.Load(name, recent)
}

// A reader that has seen more than there is by the broker's word has not missed anything if the broker's word is old.
func TestBrokerStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), &node{broker: log.Open(), t: t}
		old := &stale{Broker: b.broker, before: map[string]channel.Saved{}}
		b.Hub = channel.NewHub(&channel.Options{Broker: old})
		t.Cleanup(func() { _ = b.Close() })
		b.read("a", channel.Now())
		first := a.say("a", "one")
		synctest.Wait()
		for _, text := range []string{"two", "three"} {
			b.broker.Cut(true)
			seen := a.say("a", text)
			old.before["a"] = channel.Saved{Epoch: first.Epoch, Offset: seen.Offset - 1}
			go func() {
				time.Sleep(3 * time.Second)
				b.broker.Cut(false)
			}()
			if text == "two" {
				if batch, err := b.Read("a", channel.After(seen.Position()), 0); err != nil || len(batch.Messages) > 0 {
					t.Errorf("read after %s: %v, %v", seen.Position(), texts(batch.Messages), err)
				}
			} else {
				want(t, "what it has missed", b.read("a", channel.After(seen.Position())).texts(), nil)
			}
		}
	})
}

// Who reads a channel that loses messages is told where the gap is, before what follows it; who waits is told that it cannot go on.
func TestBrokerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), newNode(t, log, channel.Options{})
		here, there := a.read("a", channel.Now()), b.read("a", channel.Now())
		leaving := b.read("a", channel.Now())
		leaving.leaves = true
		plain := 0
		if _, err := b.Subscribe("a", channel.Now(), channel.SubscriberFunc(func(*channel.Message) { plain++ })); err != nil {
			t.Fatal(err)
		}
		first := a.say("a", "one")
		waited := make(chan error)
		synctest.Wait()
		go func() {
			_, err := b.Wait(t.Context(), "a", channel.After(first.Position()), 0)
			waited <- err
		}()
		synctest.Wait()

		b.broker.Cut(true)
		a.say("a", "two")
		log.Forget("a")
		third := a.say("a", "three")
		b.broker.Cut(false)
		if err := <-waited; !errors.Is(err, channel.ErrNotRecoverable) {
			t.Errorf("who waited got %v", err)
		}
		synctest.Wait()
		a.say("a", "four")
		synctest.Wait()
		want(t, "here", here.texts(), []string{"one", "two", "three", "four"})
		want(t, "there", there.texts(), []string{"one", "four"})
		want(t, "who has left at the gap", leaving.texts(), []string{"one"})
		if len(there.lost) != 1 || there.lost[0].After != first.Position() || there.lost[0].Last != third.Position() || len(here.lost) != 0 || plain != 2 {
			t.Errorf("told %v, and here %v", there.lost, here.lost)
		}
		if batch, err := b.Read("a", channel.Oldest(), 0); err != nil || !slices.Equal(texts(batch.Messages), []string{"three", "four"}) {
			t.Errorf("%+v, %v", batch, err)
		}

		log.Empty()
		synctest.Wait()
		fifth := b.say("a", "five")
		synctest.Wait()
		if len(here.lost) != 1 || len(there.lost) != 2 || fifth.Offset != 1 || fifth.Epoch == first.Epoch {
			t.Errorf("told %v, here %v; goes on at %s", there.lost, here.lost, fifth.Position())
		}
		want(t, "here", here.texts()[4:], []string{"five"})
		if _, err := a.Read("a", channel.After(first.Position()), 0); !errors.Is(err, channel.ErrNotRecoverable) {
			t.Errorf("after what is lost: %v", err)
		}
	})
}

// While the broker is away nothing is published, and nobody is kept waiting; then everything goes on.
func TestBrokerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), newNode(t, log, channel.Options{})
		here := a.read("a", channel.Now())
		a.say("a", "one")
		a.broker.Away(true)
		_, err := a.Publish("a", channel.Message{Data: []byte("lost")})
		_, err2 := a.Publish("elsewhere", channel.Message{})
		_, err3 := a.Subscribe("elsewhere", channel.Now(), here)
		_, err4 := a.Info("elsewhere")
		for i, err := range []error{err, err2, err3, err4} {
			if !errors.Is(err, channel.ErrStore) || !errors.Is(err, brokertest.ErrAway) {
				t.Errorf("%d: %v", i, err)
			}
		}
		b.say("a", "two")
		if batch, err := a.Read("a", channel.Oldest(), 0); err != nil || len(batch.Messages) != 1 {
			t.Errorf("what is in memory: %+v, %v", batch, err)
		}
		a.broker.Away(false)
		a.say("a", "three")
		synctest.Wait()
		want(t, "here", here.texts(), []string{"one", "two", "three"})
		a.read("elsewhere", channel.Now())
	})
}

// A publisher whose message is there is not kept for long by a feed that does not bring those before it.
func TestBrokerPublishBehindACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		a, b := newNode(t, log, channel.Options{}), newNode(t, log, channel.Options{})
		here := a.read("a", channel.Now())
		a.broker.Cut(true)
		b.say("a", "one")
		began := time.Now()
		a.PublishAll([]channel.Item{{Channel: "a", Message: channel.Message{Data: []byte("two")}}, {Channel: "a", Message: channel.Message{Data: []byte("and")}}})
		if d := time.Since(began); d != 5*time.Second || len(here.messages) != 0 {
			t.Errorf("it took %v; read %q", d, here.texts())
		}
		go func() {
			time.Sleep(time.Second)
			a.broker.Cut(false)
		}()
		a.say("a", "three")
		want(t, "here", here.texts(), []string{"one", "two", "and", "three"})
	})
}

// What does not fit in memory is read from the broker, and what rules no longer keep is not to be had, whatever the broker has.
func TestBrokerHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		const kept = 20
		a := newNode(t, log, channel.Options{HistoryCount: kept})
		b := newNode(t, log, channel.Options{HistoryCount: kept, MaxBytes: 1000})
		b.read("a", channel.Now())
		var all []string
		for i := range 50 {
			all = append(all, fmt.Sprint(i))
		}
		last := a.say("a", all...)
		synctest.Wait()
		if s := b.Stats(); s.Bytes > 1000 {
			t.Errorf("%+v", s)
		}
		after := func(offset uint64) channel.From {
			return channel.After(channel.Position{Epoch: last.Epoch, Offset: offset})
		}
		for _, n := range []*node{a, b} {
			want(t, "oldest", n.read("a", channel.Oldest()).texts(), all[50-kept:])
			want(t, "last", n.read("a", channel.Last()).texts(), all[49:])
			want(t, "after 35", n.read("a", after(35)).texts(), all[35:])
			if _, err := n.Read("a", after(50-kept-1), 0); !errors.Is(err, channel.ErrNotRecoverable) {
				t.Errorf("what is not kept: %v", err)
			}
		}
		if err := b.SetOptions(&channel.Options{HistoryCount: 5}); err != nil {
			t.Fatal(err)
		}
		want(t, "oldest of 5", b.read("a", channel.Oldest()).texts(), all[45:])
		if _, err := b.Read("a", after(40), 0); !errors.Is(err, channel.ErrNotRecoverable) {
			t.Errorf("what is not kept any more: %v", err)
		}
		if i, err := b.Info("a"); err != nil || i.Messages != 5 {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

// Where nothing is kept the places are the broker's all the same; a last message is everybody's.
func TestBrokerKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		pattern, _ := channel.ParsePattern("state/**")
		o := channel.Options{HistoryCount: -1, Rules: []channel.Rule{{Pattern: pattern, Settings: channel.Settings{KeepLast: true}}}}
		a, b := newNode(t, log, o), newNode(t, log, o)
		there := b.read("a", channel.Now())
		first := a.say("a", "one")
		second := a.say("a", "two")
		synctest.Wait()
		want(t, "there", there.texts(), []string{"one", "two"})
		if second.Offset != 2 || second.Epoch != first.Epoch || there.messages[1].Position() != second.Position() {
			t.Errorf("at %s, and %s", second.Position(), there.messages[1].Position())
		}
		want(t, "who has seen all", b.read("a", channel.After(second.Position())).texts(), nil)
		if _, err := b.Read("a", channel.After(first.Position()), 0); !errors.Is(err, channel.ErrNotRecoverable) {
			t.Errorf("what is not kept: %v", err)
		}

		a.say("state/door", "open", "closed")
		want(t, "a newcomer", b.read("state/door", channel.Last()).texts(), []string{"closed"})
		time.Sleep(24 * time.Hour)
		want(t, "a day later", newNode(t, log, o).read("state/door", channel.Last()).texts(), []string{"closed"})

		// Rules are replaced: from now on there is a history, and the channel goes on.
		for _, n := range []*node{a, b} {
			if err := n.SetOptions(&channel.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		third := b.say("a", "three")
		want(t, "what is kept now", a.read("a", channel.After(second.Position())).texts(), []string{"three"})
		if third.Epoch != first.Epoch || third.Offset != 3 {
			t.Errorf("at %s", third.Position())
		}
		if _, err := a.Read("a", channel.After(first.Position()), 0); !errors.Is(err, channel.ErrNotRecoverable) {
			t.Errorf("what was not kept: %v", err)
		}
	})
}

// Whom a message is hidden from does not get it on another hub either.
func TestBrokerNoEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		pattern, _ := channel.ParsePattern("**")
		o := channel.Options{Rules: []channel.Rule{{Pattern: pattern, Settings: channel.Settings{NoEcho: true}}}}
		a, b := newNode(t, log, o), newNode(t, log, o)
		var mine, others reader
		for client, r := range map[string]*reader{"me": &mine, "other": &others} {
			sub, err := b.Join("a", channel.Now(), r, channel.Member{Client: client})
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
		}
		if _, err := a.Publish("a", channel.Message{Data: []byte("x"), Sender: "me"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "mine", mine.texts(), nil)
		want(t, "others", others.texts(), []string{"x"})
	})
}

// A broker may feed a channel before Follow has returned.
func TestBrokerFeedsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := brokertest.NewLog()
		other := newNode(t, log, channel.Options{})
		other.say("a", "one")
		early := &early{Broker: log.Open(), follow: func() { other.say("a", "two", "three"); synctest.Wait() }}
		h := channel.NewHub(&channel.Options{Broker: early})
		var r reader
		sub, err := h.Subscribe("a", channel.Oldest(), &r)
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		want(t, "the subscriber", r.texts(), []string{"one", "two", "three"})
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := h.Publish("a", channel.Message{}); !errors.Is(err, channel.ErrClosed) {
			t.Errorf("published in a hub that is closed: %v", err)
		}
		if _, err := h.Read("a", channel.Now(), 0); !errors.Is(err, channel.ErrClosed) {
			t.Errorf("read from a hub that is closed: %v", err)
		}
	})
}

// early is a broker of which something happens before Follow returns.
type early struct {
	channel.Broker
	follow func()
}

func (e *early) Follow(name string, recent channel.Keep, f channel.Feed) (channel.Saved, error) {
	saved, err := e.Broker.Follow(name, recent, f)
	e.follow()
	return saved, err
}

// Whatever is cut, and whoever publishes where, subscribers have everything in order and once, and readers who come back
// with a position go on where they were, on any of the hubs.
func TestBrokerModel(t *testing.T) {
	const hubs, publishers, each = 3, 2, 150
	const total = hubs * publishers * each
	log := brokertest.NewLog()
	var nodes []*node
	var readers []*reader
	for i := range hubs {
		n := newNode(t, log, channel.Options{HistoryCount: 2 * total, MaxBytes: []int64{1 << 20, 5000, 20_000}[i]})
		nodes, readers = append(nodes, n), append(readers, n.read("a", channel.Now()), n.read("a", channel.Now()))
	}
	var wg, cuts sync.WaitGroup
	done := make(chan struct{})
	for i, n := range nodes {
		for p := range publishers {
			wg.Go(func() {
				for k := range each {
					m := channel.Message{Data: fmt.Appendf(nil, "%d/%d/%d", i, p, k), Key: fmt.Sprint(i, "/", p, "/", k)}
					got, err := n.Publish("a", m)
					if err != nil || string(got.Data) != string(m.Data) {
						t.Errorf("%s: %+v, %v", m.Data, got, err)
					}
					if k%7 == 0 { // it was not sure, and asks another hub
						again, err := nodes[(i+1)%hubs].Publish("a", m)
						if err != nil || again.Position() != got.Position() {
							t.Errorf("%s: %+v and then %+v, %v", m.Data, got, again, err)
						}
					}
				}
			})
		}
		cuts.Go(func() {
			for cut := true; ; cut = !cut {
				n.broker.Cut(cut)
				select {
				case <-done:
					n.broker.Cut(false)
					return
				case <-time.After(time.Duration(1+3*i) * time.Millisecond):
				}
			}
		})
	}
	travellers := make([][]string, 2)
	for k := range travellers {
		wg.Go(func() {
			next := channel.Oldest()
			for i := k; len(travellers[k]) < total; i++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				batch, err := nodes[i%hubs].Wait(ctx, "a", next, 500)
				cancel()
				if err != nil {
					t.Errorf("traveller %d, after %d: %v", k, len(travellers[k]), err)
					return
				}
				travellers[k] = append(travellers[k], texts(batch.Messages)...)
				next = channel.After(batch.Next)
			}
		})
	}
	wg.Wait()
	close(done)
	cuts.Wait()
	if t.Failed() {
		return
	}
	batch, err := nodes[0].Read("a", channel.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	last := channel.Position{Epoch: batch.Next.Epoch, Offset: total}
	for _, n := range nodes { // which come as far as that
		if _, err := n.Read("a", channel.After(last), 0); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := brokerRead(nodes[1])
	if err != nil || len(whole) != total {
		t.Fatalf("%d messages, %v", len(whole), err)
	}
	for i, r := range readers {
		want(t, fmt.Sprint("reader ", i), r.texts(), whole)
		if len(r.lost) != 0 {
			t.Errorf("reader %d was told %v", i, r.lost)
		}
	}
	for i, got := range travellers {
		want(t, fmt.Sprint("traveller ", i), got, whole)
	}
}

func brokerRead(n *node) (all []string, err error) {
	var r reader
	sub, err := n.Subscribe("a", channel.Oldest(), &r)
	if err == nil {
		sub.Close()
	}
	return r.texts(), err
}

// What comes by the feed, for so many subscribers.
func BenchmarkFeed(b *testing.B) {
	for _, subscribers := range []int{1, 1000} {
		b.Run(fmt.Sprint("subscribers=", subscribers), func(b *testing.B) {
			broker := &feeding{Broker: brokertest.NewLog().Open()}
			h := channel.NewHub(&channel.Options{Broker: broker})
			defer func() { _ = h.Close() }()
			for range subscribers {
				sub, err := h.Subscribe("a", channel.Now(), channel.SubscriberFunc(func(*channel.Message) {}))
				if err != nil {
					b.Fatal(err)
				}
				defer sub.Close()
			}
			data := make([]byte, 100)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				broker.feed.Messages([]*channel.Message{{Offset: uint64(i + 1), Epoch: broker.epoch, ID: "x", Data: data}})
			}
		})
	}
}

// feeding is a broker whose feed the test has.
type feeding struct {
	channel.Broker
	feed  channel.Feed
	epoch string
}

func (f *feeding) Follow(name string, recent channel.Keep, to channel.Feed) (channel.Saved, error) {
	saved, err := f.Broker.Follow(name, recent, to)
	f.feed, f.epoch = to, saved.Epoch
	return saved, err
}
