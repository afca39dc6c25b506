package channel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRestart(t *testing.T) {
	s := newFakeStore(t)
	before := NewHub(&Options{Store: s})
	last := publish(t, before, "a", "1", "2", "3")

	h := NewHub(&Options{Store: s})
	batch, err := h.Read("a", After(Position{last.Epoch, 1}), 0)
	if err != nil || !slices.Equal(texts(batch.Messages), []string{"2", "3"}) || batch.Next != last.Position() {
		t.Errorf("%q, %v, %v", texts(batch.Messages), batch.Next, err)
	}
	var r recorder
	if _, err := h.Subscribe("a", Oldest(), &r); err != nil {
		t.Fatal(err)
	}
	if m := publish(t, h, "a", "4"); m.Offset != 4 || m.Epoch != last.Epoch {
		t.Errorf("it goes on at %v", m.Position())
	}
	if got := r.texts(); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("got %q", got)
	}
	if i, err := NewHub(&Options{Store: s}).Info("a"); err != nil || i.Position.Offset != 4 || i.Messages != 4 {
		t.Errorf("%+v, %v", i, err)
	}
}

// What memory has no room for is read from the store.
func TestOlderThanMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore(t)
		defer s.Close()
		h := NewHub(&Options{Store: s, HistoryCount: 500, HistoryBytes: 1 << 30})
		long := strings.Repeat("x", 10_000)
		var all []string
		for i := range 600 {
			all = append(all, fmt.Sprint(i, long))
		}
		last := publish(t, h, "a", all...)
		all = all[100:]
		if b := h.Stats().Bytes; b > recentBytes {
			t.Errorf("%d bytes are in memory", b)
		}
		at := func(offset uint64) From { return After(Position{last.Epoch, offset}) }
		for _, maxBytes := range []int{0, 25_000, 200_000} {
			var got []string
			from := Oldest()
			for {
				batch, err := h.Read("a", from, maxBytes)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, texts(batch.Messages)...)
				from = After(batch.Next)
				if !batch.More {
					break
				}
				if n := len(batch.Messages); n == 0 || maxBytes > 0 && n > maxBytes/10_000 {
					t.Fatalf("%d messages in a part of %d bytes", n, maxBytes)
				}
			}
			if !slices.Equal(got, all) {
				t.Errorf("%d messages in parts of %d bytes, want %d", len(got), maxBytes, len(all))
			}
		}
		for from, want := range map[From][]string{Oldest(): all, at(100): all, at(101): all[1:], at(599): all[499:], Last(): all[499:], Now(): nil} {
			var r recorder
			sub, err := h.Subscribe("a", from, &r)
			if err != nil || !slices.Equal(r.texts(), want) || sub.Start().Offset != 600-uint64(len(want)) {
				t.Fatalf("%v: %d messages, %v; want %d", from, len(r.messages), err, len(want))
			}
			sub.Close()
		}
		for _, from := range []From{at(99), at(0), at(601), After(Position{"OTHER", 200})} {
			var r recorder
			_, err := h.Subscribe("a", from, &r)
			if why, ok := errors.AsType[*NotRecoverableError](err); !ok || len(r.messages) != 0 || why.Last != last.Position() {
				t.Errorf("%v: %d messages, %v", from, len(r.messages), err)
			}
		}
		if batch, err := h.Wait(t.Context(), "a", at(150), 1); err != nil || !slices.Equal(texts(batch.Messages), all[50:51]) {
			t.Errorf("%d messages, %v", len(batch.Messages), err)
		}
		// What is past its age is not read, though the store still has it.
		time.Sleep(10 * time.Minute)
		if _, err := h.Read("a", at(150), 0); !errors.Is(err, ErrNotRecoverable) {
			t.Error(err)
		}
		if batch, err := h.Read("a", Oldest(), 0); err != nil || len(batch.Messages) != 0 {
			t.Errorf("%d messages past their age, %v", len(batch.Messages), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Wait(ctx, "a", Oldest(), 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// A channel that makes room for others has lost nothing.
func TestEvictionWithStore(t *testing.T) {
	h := NewHub(&Options{Store: newFakeStore(t), MaxChannels: 3, MaxBytes: 5000})
	var lasts []*Message
	for i := range 50 {
		lasts = append(lasts, publish(t, h, fmt.Sprint(i), strings.Repeat("x", 1000), "2", "3"))
	}
	for i, last := range lasts {
		batch, err := h.Read(fmt.Sprint(i), After(Position{last.Epoch, 0}), 0)
		if err != nil || len(batch.Messages) != 3 {
			t.Errorf("channel %d: %d messages, %v", i, len(batch.Messages), err)
		}
		if s := h.Stats(); s.Channels > 3 || s.Bytes > 5000 {
			t.Fatalf("%+v", s)
		}
	}
}

// Whoever wants a channel that is being loaded waits for that one load, and nobody else does.
func TestLoadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore(t)
		defer s.Close()
		publish(t, NewHub(&Options{Store: s}), "slow", "1")
		_, before, _ := s.counts()
		release := make(chan error)
		s.load = func(name string) error {
			if name == "slow" {
				return <-release
			}
			return nil
		}
		h := NewHub(&Options{Store: s, MaxChannels: 2})
		results := make(chan error)
		ask := func() {
			for range 5 {
				go func() { _, err := h.Publish("slow", Message{}); results <- err }()
				go func() { _, err := h.Read("slow", Oldest(), 0); results <- err }()
			}
			synctest.Wait()
		}
		ask()
		publish(t, h, "other", "1")
		if p, err := h.Presence("slow", 0); err != nil || p.Clients != 0 {
			t.Error(p, err)
		}
		release <- errDisk
		for range 10 {
			if err := <-results; !errors.Is(err, ErrStore) || !errors.Is(err, errDisk) {
				t.Errorf("the load failed: %v", err)
			}
		}
		if n := h.Stats().Channels; n != 1 {
			t.Errorf("%d channels after a load that failed", n)
		}
		ask()
		release <- nil
		for range 10 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if _, loads, _ := s.counts(); loads != before+2 {
			t.Errorf("%d loads, want 2", loads-before)
		}
		if m := publish(t, h, "slow", "7"); m.Offset != 7 {
			t.Errorf("at %v", m.Position())
		}
		// What could not be loaded has left nothing behind that takes the place of what was.
		var r recorder
		if _, err := h.Subscribe("slow", Now(), &r); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			publish(t, h, fmt.Sprint(i), "x")
		}
		if publish(t, h, "slow", "8"); !slices.Equal(r.texts(), []string{"8"}) {
			t.Errorf("the subscriber got %q", r.texts())
		}
	})
}

// damaged is a store that has lost a message in the middle.
type damaged struct{ *fakeStore }

func (s damaged) Load(name string, recent Keep) (Saved, error) {
	saved, err := s.fakeStore.Load(name, recent)
	if len(saved.Recent) > 2 {
		saved.Recent = slices.Delete(saved.Recent, 1, 2)
	}
	return saved, err
}

func TestGapInTheStore(t *testing.T) {
	s := damaged{newFakeStore(t)}
	publish(t, NewHub(&Options{Store: s}), "a", "1", "2", "3", "4")
	h := NewHub(&Options{Store: s})
	if i := publish(t, h, "a", "5"); i.Offset != 5 {
		t.Errorf("it goes on at %v", i.Position())
	}
	c := h.channels["a"]
	for i := range c.history.count {
		if m := c.history.at(i); m.Offset != uint64(3+i) {
			t.Errorf("in memory as message %d of %d: %d", i, c.history.count, m.Offset)
		}
	}
}

// Of a channel that has nothing in memory the store is asked, and no more is read than was published.
func TestNothingInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s, MaxBytes: 1})
		if _, err := h.Subscribe("a", Now(), &recorder{}); err != nil {
			t.Fatal(err)
		}
		put := func(text string) {
			ended := start(h, "a", Message{Data: []byte(text)})
			s.step(1)
			<-ended
		}
		read := func(from From, want ...string) Batch {
			t.Helper()
			batch, err := h.Read("a", from, 0)
			if err != nil || !slices.Equal(texts(batch.Messages), want) {
				t.Errorf("%q, %v; want %q", texts(batch.Messages), err, want)
			}
			return batch
		}
		put("1")
		time.Sleep(4 * time.Minute)
		put("2")
		if n := h.channels["a"].history.count; n != 0 {
			t.Fatalf("%d messages are in memory", n)
		}
		if i, err := h.Info("a"); err != nil || i.Messages != 2 || i.Bytes == 0 {
			t.Errorf("%+v, %v", i, err)
		}
		read(Oldest(), "1", "2")
		read(Last(), "2")
		time.Sleep(2 * time.Minute)
		read(Oldest(), "2") // the first is past its age
		under := start(h, "a", text("3"))
		saved := s.queue[0]
		if err := s.put(saved); err != nil { // and nobody was told yet
			t.Fatal(err)
		}
		if b := read(Oldest(), "2"); b.Next.Offset != 2 || b.More {
			t.Errorf("%v, %v", b.Next, b.More)
		}
		read(After(Position{Offset: 1}), "2")
		saved.done(nil)
		<-under
		read(Oldest(), "2", "3")
	})
}

// The keys of what was published before a restart are known after it, however much lies between.
func TestKeysAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore(t)
		defer s.Close()
		o := Options{Store: s, HistoryCount: 5000, HistoryAge: time.Hour}
		h := NewHub(&o)
		keyed1(t, h, "a", "old", "x")
		time.Sleep(KeyAge)
		first := keyed1(t, h, "a", "first", "x")
		for range 1000 {
			publish(t, h, "a", strings.Repeat("x", 500))
		}
		last := keyed1(t, h, "a", "last", "x")

		h = NewHub(&o)
		for key, want := range map[string]*Message{"first": first, "last": last} {
			if again := keyed1(t, h, "a", key, "x"); again.Position() != want.Position() || again.ID != want.ID {
				t.Errorf("%q: at %v, want %v", key, again.Position(), want.Position())
			}
		}
		if again := keyed1(t, h, "a", "old", "x"); again.Offset != 1004 {
			t.Errorf("one past its age: at %v", again.Position())
		}
	})
}

// Channels without a history are not the store's; when they get one they begin anew, so that it has no gap.
func TestUnsavedChannels(t *testing.T) {
	s := newFakeStore(t)
	none := []Rule{{pattern("a"), Settings{HistoryCount: -1}}}
	h := NewHub(&Options{Store: s, Rules: none})
	before := publish(t, h, "a", "1", "2")
	if handed, loads, _ := s.counts(); handed != 0 || loads != 0 {
		t.Errorf("%d handed over, %d loads", handed, loads)
	}
	var r recorder
	if _, err := h.Subscribe("a", Now(), &r); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.SetRules(nil); err != nil {
			t.Fatal(err)
		}
		first := publish(t, h, "a", "saved")
		if first.Offset != 1 || first.Epoch == before.Epoch {
			t.Errorf("it goes on at %v, was at %v", first.Position(), before.Position())
		}
		if _, err := h.Read("a", After(before.Position()), 0); !errors.Is(err, ErrNotRecoverable) {
			t.Error(err)
		}
		if batch, err := NewHub(&Options{Store: s}).Read("a", After(Position{first.Epoch, 0}), 0); err != nil || len(batch.Messages) != 1 {
			t.Errorf("the store has %q, %v", texts(batch.Messages), err)
		}
		if err := h.SetRules(none); err != nil {
			t.Fatal(err)
		}
		before = publish(t, h, "a", "not saved")
		if before.Epoch != first.Epoch || before.Offset != 2 {
			t.Errorf("it goes on at %v", before.Position())
		}
	}
	if got := r.texts(); len(got) != 4 {
		t.Errorf("the subscriber got %q", got)
	}
}

// Rules that change while messages are being saved leave no gap either.
func TestRulesWhileSaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s})
		none := []Rule{{pattern("a"), Settings{HistoryCount: -1}}}
		var r recorder
		if _, err := h.Subscribe("a", Now(), &r); err != nil {
			t.Fatal(err)
		}
		var all []<-chan outcome
		for i, rules := range [][]Rule{nil, none, nil} {
			if err := h.SetRules(rules); err != nil {
				t.Fatal(err)
			}
			all = append(all, start(h, "a", text(fmt.Sprint(i))))
		}
		s.step(1)
		for i, ended := range all {
			if o := <-ended; o.err != nil || o.m.Offset != uint64(i+1) {
				t.Errorf("%d: %+v", i, o)
			}
		}
		last := start(h, "a", text("3"))
		s.step(1)
		if o := <-last; o.err != nil || o.m.Offset != 1 {
			t.Errorf("%+v", o)
		}
		if got := r.texts(); !slices.Equal(got, []string{"0", "1", "2", "3"}) {
			t.Errorf("%q", got)
		}
	})
}

func TestCloseWithStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newManualStore()
		h := NewHub(&Options{Store: s})
		under := start(h, "a", text("1"))
		if err := h.Close(); !errors.Is(err, errDisk) {
			t.Errorf("the store's error: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		s.step(1)
		if o := <-under; o.err != nil {
			t.Error(o.err)
		}
		if _, err := h.Publish("a", Message{}); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if handed, _, _ := s.counts(); handed != 1 {
			t.Errorf("%d were handed over", handed)
		}
	})
}

// The last message of a state outlives its age, and the process.
func TestKeepLastWithStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStore(t)
		defer s.Close()
		o := Options{Store: s, Rules: []Rule{{pattern("state"), Settings{KeepLast: true}}}}
		h := NewHub(&o)
		for _, name := range []string{"state", "plain"} {
			publish(t, h, name, "1", "2")
		}
		time.Sleep(24 * time.Hour)
		if n := h.Stats().Channels; n != 0 {
			t.Errorf("%d channels are in memory", n)
		}
		for name, want := range map[string][]string{"state": {"2"}, "plain": {}} {
			batch, err := NewHub(&o).Read(name, Last(), 0)
			if err != nil || !slices.Equal(texts(batch.Messages), want) || batch.Next.Offset != 2 {
				t.Errorf("%s: %q, %v", name, texts(batch.Messages), err)
			}
		}
	})
}
