package channel

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func keyed1(t *testing.T, h *Hub, name, key, text string) *Message {
	t.Helper()
	m, err := h.Publish(name, Message{Key: key, Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(&Options{HistoryCount: 2})
		first := keyed1(t, h, "a", "k", "one")
		if again := keyed1(t, h, "a", "k", "two"); again != first {
			t.Errorf("again: %+v", again)
		}
		if other := keyed1(t, h, "b", "k", "other channel"); other.Offset != 1 || string(other.Data) != "other channel" {
			t.Errorf("%+v", other)
		}
		publish(t, h, "a", "2", "3", "4") // the first is not kept any more, its key is
		again := keyed1(t, h, "a", "k", "two")
		if again.Position() != first.Position() || again.ID != first.ID || !again.Time.Equal(first.Time) {
			t.Errorf("again: %+v, was %+v", again, first)
		}
		time.Sleep(KeyAge - time.Second)
		if again := keyed1(t, h, "a", "k", "two"); again.Offset != 1 {
			t.Errorf("before its age: %+v", again)
		}
		time.Sleep(time.Second)
		if again := keyed1(t, h, "a", "k", "two"); again.Offset != 5 {
			t.Errorf("past its age: %+v", again)
		}
		results := h.PublishAll([]Item{
			{"a", Message{Key: "k", Data: []byte("x")}}, {"a", Message{Key: "l", Data: []byte("x")}}, {"", Message{}},
			{"a", Message{Key: "l", Data: []byte("y")}}, {"b", Message{Key: "a\n"}},
		})
		if r := results; !r[0].Duplicate || r[1].Duplicate || !r[3].Duplicate || r[3].Message != r[1].Message || !isInvalid(r[2].Err) || !isInvalid(r[4].Err) {
			t.Errorf("%+v", r)
		}
	})
}

// A key outlives the messages of a channel whose history is short, and the room it takes is counted and given back.
func TestKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(&Options{HistoryCount: -1, HistoryAge: time.Second})
		first := keyed1(t, h, "a", "k", "x")
		time.Sleep(time.Minute)
		if again := keyed1(t, h, "a", "k", "x"); again.Position() != first.Position() {
			t.Errorf("after the history's age: %+v", again)
		}
		for i := range MaxKeys {
			keyed1(t, h, "a", fmt.Sprint(i), "x")
		}
		if again := keyed1(t, h, "a", "k", "x"); again.Offset != MaxKeys+2 {
			t.Errorf("after too many others: %+v", again)
		}
		if again := keyed1(t, h, "a", "1", "x"); again.Offset != 3 {
			t.Errorf("one of the last: %+v", again)
		}
		time.Sleep(KeyAge + time.Minute)
		if s := h.Stats(); s.Bytes != 0 || s.Channels != 0 {
			t.Errorf("%+v is left", s)
		}

		h = NewHub(&Options{HistoryCount: -1, MaxBytes: 10_000})
		for i := range 1000 {
			keyed1(t, h, "a", fmt.Sprint(i), "x")
		}
		if s := h.Stats(); s.Bytes > 10_000 || s.Bytes < 5_000 {
			t.Errorf("%+v; want no more than the bound", s)
		}
	})
}

// Of those who publish with one key at once, one publishes.
func TestKeysUnderConcurrency(t *testing.T) {
	h := NewHub(nil)
	var r recorder
	if _, err := h.Subscribe("a", Now(), &r); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range 8 {
		wg.Go(func() {
			for i := range 200 {
				if m := keyed1(t, h, "a", fmt.Sprint(i), fmt.Sprint(i)); string(m.Data) != fmt.Sprint(i) {
					t.Errorf("publisher %d: %q", p, m.Data)
				}
			}
		})
	}
	wg.Wait()
	got := r.texts()
	slices.Sort(got)
	if len(slices.Compact(got)) != 200 || len(r.messages) != 200 {
		t.Errorf("%d messages of 200", len(r.messages))
	}
}
