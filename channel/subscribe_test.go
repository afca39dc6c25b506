package channel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCloseWithinDeliver(t *testing.T) {
	h := NewHub(nil)
	subs := make([]*Subscription, 5)
	counts := make([]int, 5)
	for i := range subs {
		var err error
		subs[i], err = h.Subscribe("a", Now(), SubscriberFunc(func(*Message) {
			counts[i]++
			if i == 2 { // takes itself and a neighbour away
				subs[2].Close()
				subs[3].Close()
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	publish(t, h, "a", "1", "2")
	if want := []int{2, 2, 1, 0, 2}; !slices.Equal(counts, want) {
		t.Errorf("deliveries %v, want %v", counts, want)
	}
	for _, sub := range subs {
		sub.Close() // again, for some
	}
	publish(t, h, "a", "3")
	if want := []int{2, 2, 1, 0, 2}; !slices.Equal(counts, want) {
		t.Errorf("deliveries %v after all were closed, want %v", counts, want)
	}
}

func TestPanickingSubscriber(t *testing.T) {
	h := NewHub(nil)
	sub, err := h.Subscribe("a", Now(), SubscriberFunc(func(*Message) { panic("mistake") }))
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		publish(t, h, "a", "1")
	}()
	sub.Close()
	publish(t, h, "a", "2")
	batch, err := h.Read("a", Oldest(), 0)
	if err != nil || !slices.Equal(texts(batch.Messages), []string{"1", "2"}) {
		t.Errorf("the channel has %q, %v", texts(batch.Messages), err)
	}
}

func TestSubscribersComeAndGo(t *testing.T) {
	h := NewHub(nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				sub, err := h.Subscribe("a", Now(), &recorder{})
				if err != nil {
					t.Error(err)
					return
				}
				publish(t, h, "a", "x")
				sub.Close()
			}
		})
	}
	wg.Wait()
	c, err := h.acquire("a")
	if err != nil {
		t.Fatal(err)
	}
	if c.users != 1 || len(c.subscribers.list) != 0 || c.offset != 8*500 {
		t.Errorf("%d users, %d subscribers, offset %d; want 1, 0, 4000", c.users, len(c.subscribers.list), c.offset)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(nil)
		type result struct {
			batch Batch
			err   error
		}
		results := make(chan result)
		wait := func(ctx context.Context, from From) {
			go func() {
				batch, err := h.Wait(ctx, "a", from, 0)
				results <- result{batch, err}
			}()
		}

		// All who wait are woken by one message.
		for range 10 {
			wait(t.Context(), Now())
		}
		synctest.Wait()
		first := publish(t, h, "a", "1")
		for range 10 {
			r := <-results
			if r.err != nil || !slices.Equal(texts(r.batch.Messages), []string{"1"}) || r.batch.Next != first.Position() {
				t.Errorf("got %q, %v, %v", texts(r.batch.Messages), r.batch.Next, r.err)
			}
		}

		// What is there is not waited for.
		wait(t.Context(), Oldest())
		if r := <-results; r.err != nil || len(r.batch.Messages) != 1 {
			t.Errorf("got %q, %v", texts(r.batch.Messages), r.err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		wait(ctx, After(first.Position()))
		r := <-results
		if !errors.Is(r.err, context.DeadlineExceeded) || len(r.batch.Messages) != 0 || r.batch.Next != first.Position() {
			t.Errorf("at the deadline: %q, %v, %v", texts(r.batch.Messages), r.batch.Next, r.err)
		}
		if waited := time.Since(start); waited != 30*time.Second {
			t.Errorf("waited for %v, want 30s", waited)
		}
	})
}

// A message that nobody keeps must not be passed over in silence.
func TestWaitForWhatIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(&Options{HistoryCount: -1})
		failed := make(chan error)
		go func() {
			_, err := h.Wait(t.Context(), "a", Now(), 0)
			failed <- err
		}()
		synctest.Wait()
		publish(t, h, "a", "1")
		if err := <-failed; !errors.Is(err, ErrNotRecoverable) {
			t.Errorf("error %v, want %v", err, ErrNotRecoverable)
		}
	})
}

func TestReadInParts(t *testing.T) {
	h := NewHub(nil)
	publish(t, h, "a", "aaaa", "bbbb", "cccccccccccc", "d", "e")
	want := [][]string{{"aaaa", "bbbb"}, {"cccccccccccc"}, {"d", "e"}}
	from := Oldest()
	for i, part := range want {
		batch, err := h.Read("a", from, 8)
		if err != nil || !slices.Equal(texts(batch.Messages), part) {
			t.Errorf("part %d: %q, %v; want %q", i, texts(batch.Messages), err, part)
		}
		if batch.More != (i < len(want)-1) {
			t.Errorf("part %d: more is %v", i, batch.More)
		}
		from = After(batch.Next)
	}
}

func TestShared(t *testing.T) {
	h := NewHub(nil)
	encoded := map[string]int{}
	encode := func(kind string) func(*Message) string {
		return func(m *Message) string {
			encoded[kind]++
			return kind + string(m.Data)
		}
	}
	var kept *Message
	for i := range 6 {
		kind := []string{"a", "b"}[i%2]
		if _, err := h.Subscribe("x", Now(), SubscriberFunc(func(m *Message) {
			kept = m
			if got := Shared(m, kind, encode(kind)); got != kind+"1" {
				t.Errorf("got %q", got)
			}
		})); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, h, "x", "1")
	if encoded["a"] != 1 || encoded["b"] != 1 {
		t.Errorf("encoded %v times, want once for each kind", encoded)
	}
	Shared(kept, "a", encode("a"))
	Shared(kept, "a", encode("a"))
	if encoded["a"] != 3 {
		t.Error("an encoding is kept after the delivery: the history would hold it")
	}
	if got := Shared(&Message{Data: []byte("1")}, "a", encode("a")); got != "a1" {
		t.Errorf("of a message that was not published: %q", got)
	}
}

func TestPublishAllocations(t *testing.T) {
	h := NewHub(nil)
	for range 1000 {
		if _, err := h.Subscribe("a", Now(), SubscriberFunc(func(*Message) {})); err != nil {
			t.Fatal(err)
		}
	}
	data := []byte("hello")
	got := testing.AllocsPerRun(2000, func() {
		if _, err := h.Publish("a", Message{Data: data}); err != nil {
			t.Fatal(err)
		}
	})
	// The message, and its id as a string (made in two steps).
	if got > 3 {
		t.Errorf("publishing to 1000 subscribers allocates %v times, want 3 at most", got)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			h := NewHub(nil)
			for range n {
				if _, err := h.Subscribe("a", Now(), SubscriberFunc(func(*Message) {})); err != nil {
					b.Fatal(err)
				}
			}
			data := []byte("hello")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Publish("a", Message{Data: data}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPublishManyChannels(b *testing.B) {
	h := NewHub(nil)
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprint("channel ", i)
	}
	data := []byte("hello")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := h.Publish(names[i%len(names)], Message{Data: data}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
