package channel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

type outcome struct {
	m   *Message
	err error
}

// start publishes from a goroutine of its own, and returns when the store has the message.
func start(h *Hub, name string, m Message) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		m, err := h.Publish(name, m)
		ended <- outcome{m, err}
	}()
	synctest.Wait()
	return ended
}

func text(s string) Message { return Message{Data: []byte(s)} }

// Nobody sees a message that is not saved, its publisher neither; meanwhile others are handed to the store.
func TestNothingIsSeenBeforeItIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s})
		var r recorder
		if _, err := h.Subscribe("a", Now(), &r); err != nil {
			t.Fatal(err)
		}
		var all []<-chan outcome
		for i := range 5 {
			all = append(all, start(h, "a", text(fmt.Sprint(i))))
		}
		other := start(h, "b", text("b"))
		if handed, _, _ := s.counts(); handed != 6 {
			t.Fatalf("%d messages were handed over while none was saved, want 6", handed)
		}
		for i := range 5 {
			if batch, err := h.Read("a", Oldest(), 0); err != nil || len(batch.Messages) != i || len(r.texts()) != i || batch.Next.Offset != uint64(i) {
				t.Fatalf("%d saved: %q read, %q delivered, %v", i, texts(batch.Messages), r.texts(), err)
			}
			select {
			case o := <-all[i]:
				t.Fatalf("the publisher of message %d was told %v", i, o)
			default:
			}
			s.step(1)
			synctest.Wait()
			if o := <-all[i]; o.err != nil || o.m.Offset != uint64(i+1) {
				t.Fatalf("message %d: %v", i, o)
			}
		}
		s.step(1)
		if o := <-other; o.err != nil {
			t.Error(o.err)
		}
		if want := []string{"0", "1", "2", "3", "4"}; !slices.Equal(r.texts(), want) {
			t.Errorf("delivered %q", r.texts())
		}
	})
}

// A failure has those behind it fail; the next message takes the offset of the first that failed.
func TestSaveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		s.fail = func(m *Message) error {
			if string(m.Data) == "2" {
				return errDisk
			}
			return nil
		}
		h := NewHub(&Options{Store: s})
		var r recorder
		if _, err := h.Subscribe("a", Now(), &r); err != nil {
			t.Fatal(err)
		}
		var all []<-chan outcome
		for i := range 5 {
			all = append(all, start(h, "a", Message{Key: fmt.Sprint(i), Data: fmt.Append(nil, i)}))
		}
		s.step(3)
		synctest.Wait()
		late := start(h, "a", text("late")) // while the store still has to tell of the fourth and fifth
		s.step(3)
		synctest.Wait()
		for i, ended := range all {
			o := <-ended
			if (o.err == nil) != (i < 2) || i >= 2 && (!errors.Is(o.err, ErrStore) || !errors.Is(o.err, errDisk)) {
				t.Errorf("message %d: %v", i, o.err)
			}
		}
		if o := <-late; o.err != nil || o.m.Offset != 3 {
			t.Errorf("after the failure: %+v", o)
		}
		// What failed may be tried again with its key.
		again := start(h, "a", Message{Key: "3", Data: []byte("3")})
		s.step(1)
		if o := <-again; o.err != nil || o.m.Offset != 4 {
			t.Errorf("again: %+v", o)
		}
		if want := []string{"0", "1", "late", "3"}; !slices.Equal(r.texts(), want) {
			t.Errorf("delivered %q, want %q", r.texts(), want)
		}
	})
}

// A store whose done comes out of order, or twice, does not disturb the order of the messages.
func TestDoneOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s})
		var r recorder
		if _, err := h.Subscribe("a", Now(), &r); err != nil {
			t.Fatal(err)
		}
		first, second := start(h, "a", text("1")), start(h, "a", text("2"))
		s.queue[1].done(nil)
		s.queue[1].done(nil)
		synctest.Wait()
		if len(r.texts()) != 0 {
			t.Errorf("delivered %q", r.texts())
		}
		s.queue[0].done(nil)
		s.queue[0].done(errDisk)
		if a, b := <-first, <-second; a.err != nil || b.err != nil || !slices.Equal(r.texts(), []string{"1", "2"}) {
			t.Errorf("%v, %v, %q", a, b, r.texts())
		}
	})
}

func TestKeyWhileItIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s})
		keyed := Message{Key: "k"}
		first, second := start(h, "a", keyed), start(h, "a", keyed)
		if handed, _, _ := s.counts(); handed != 1 {
			t.Errorf("%d were handed over", handed)
		}
		s.step(1)
		a, b := <-first, <-second
		if a.err != nil || b.err != nil || a.m != b.m {
			t.Errorf("%v and %v", a, b)
		}
		// Whoever waits for one that fails fails with it, and whoever comes after that tries anew.
		s.fail = func(*Message) error { return errDisk }
		keyed.Key = "l"
		first, second = start(h, "a", keyed), start(h, "a", keyed)
		s.step(1)
		a, b = <-first, <-second
		if !errors.Is(a.err, errDisk) || !errors.Is(b.err, errDisk) {
			t.Errorf("%v and %v", a, b)
		}
		s.fail = nil
		third := start(h, "a", keyed)
		s.step(1)
		if o := <-third; o.err != nil || o.m.Offset != 2 {
			t.Error(o)
		}
	})
}

func TestPublishAllWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		s.fail = func(m *Message) error {
			if string(m.Data) == "bad" {
				return errDisk
			}
			return nil
		}
		h := NewHub(&Options{Store: s})
		ended := make(chan []Result)
		go func() {
			ended <- h.PublishAll([]Item{
				{"a", Message{Data: []byte("1"), Key: "k"}}, {"b", text("bad")}, {"a", text("2")}, {"", text("")}, {"b", text("behind")},
				{"a", Message{Data: []byte("x"), Key: "k"}}, {"a", text("3")},
			})
		}()
		synctest.Wait()
		if handed, _, _ := s.counts(); handed != 5 {
			t.Errorf("%d were handed over at once, want 5", handed)
		}
		s.step(5)
		r := <-ended
		if r[0].Err != nil || r[2].Err != nil || r[6].Err != nil || r[6].Message.Offset != 3 {
			t.Errorf("to a: %+v", r)
		}
		if !r[5].Duplicate || r[5].Message != r[0].Message {
			t.Errorf("the repeated one: %+v", r[5])
		}
		if !errors.Is(r[1].Err, errDisk) || !errors.Is(r[4].Err, ErrStore) || !isInvalid(r[3].Err) {
			t.Errorf("to b: %v, %v; to nowhere: %v", r[1].Err, r[4].Err, r[3].Err)
		}
	})
}

// A subscriber's panic is its publisher's: neither the store nor other messages suffer.
func TestPanickingSubscriberWithStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s})
		if _, err := h.Subscribe("a", Now(), SubscriberFunc(func(*Message) { panic("mistake") })); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				defer func() { _ = recover() }()
				h.PublishAll([]Item{{"a", text("x")}, {"b", text("x")}, {"a", text("x")}})
			})
		}
		synctest.Wait()
		s.step(6)
		wg.Wait()
		for name, want := range map[string]int{"a": 4, "b": 2} {
			if batch, err := h.Read(name, Oldest(), 0); err != nil || len(batch.Messages) != want {
				t.Errorf("%s has %q, %v", name, texts(batch.Messages), err)
			}
			if h.channels[name].users > 1 {
				t.Errorf("%s has %d users", name, h.channels[name].users)
			}
		}
	})
}

// Whatever fails meanwhile: what publishers were told is what every subscriber got and what the store has, in one order
// and without gaps.
func TestStoreModel(t *testing.T) {
	const publishers, each = 6, 300
	s := newFakeStore(t)
	random := rand.New(rand.NewPCG(1, 2))
	s.fail = func(*Message) error { // called under the lock of the store
		if random.IntN(20) == 0 {
			return errDisk
		}
		return nil
	}
	h := NewHub(&Options{Store: s, HistoryCount: publishers * each})
	names := []string{"a", "b"}
	recorders := map[string]*recorder{}
	for _, name := range names {
		recorders[name] = new(recorder)
		if _, err := h.Subscribe(name, Now(), recorders[name]); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	told := map[string]map[uint64]string{"a": {}, "b": {}}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				items := []Item{}
				for k := range 1 + i%3 {
					items = append(items, Item{names[(p+i+k)%2], text(fmt.Sprint(p, "/", i, "/", k))})
				}
				for k, r := range h.PublishAll(items) {
					if r.Err != nil {
						if !errors.Is(r.Err, ErrStore) {
							t.Error(r.Err)
						}
						continue
					}
					mu.Lock()
					told[items[k].Channel][r.Message.Offset] = string(items[k].Message.Data)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for _, name := range names {
		got := recorders[name].messages
		kept := s.saved[name].messages
		if len(got) != len(told[name]) || len(got) != int(s.saved[name].last) {
			t.Errorf("%s: %d delivered, %d told, %d saved", name, len(got), len(told[name]), s.saved[name].last)
		}
		for i, m := range got {
			if m.Offset != uint64(i+1) || told[name][m.Offset] != string(m.Data) || string(kept[i].Data) != string(m.Data) {
				t.Fatalf("%s: message %d is %d %q, told %q, saved %q", name, i, m.Offset, m.Data, told[name][m.Offset], kept[i].Data)
			}
		}
	}
}

func BenchmarkPublishStored(b *testing.B) {
	h := NewHub(&Options{Store: newFakeStore(b)})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := h.Publish("a", text("hello")); err != nil {
				b.Fatal(err)
			}
		}
	})
}
