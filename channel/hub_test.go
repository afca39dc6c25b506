package channel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is a subscriber that remembers.
type recorder struct {
	mu       sync.Mutex
	messages []*Message
}

func (r *recorder) Deliver(m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
}

func (r *recorder) texts() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return texts(r.messages)
}

func texts(messages []*Message) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = string(m.Data)
	}
	return all
}

func publish(t *testing.T, h *Hub, name string, texts ...string) *Message {
	t.Helper()
	var last *Message
	for _, text := range texts {
		m, err := h.Publish(name, Message{Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		last = m
	}
	return last
}

func TestPublishNumbersMessages(t *testing.T) {
	h := NewHub(nil)
	first := publish(t, h, "a", "one")
	second := publish(t, h, "a", "two")
	other := publish(t, h, "b", "one")
	if first.Offset != 1 || second.Offset != 2 || other.Offset != 1 {
		t.Errorf("offsets %d, %d in one channel and %d in another; want 1, 2 and 1", first.Offset, second.Offset, other.Offset)
	}
	if first.Epoch == "" || first.Epoch != second.Epoch || first.Epoch == other.Epoch {
		t.Errorf("epochs %q, %q in one channel and %q in another", first.Epoch, second.Epoch, other.Epoch)
	}
	if first.ID != first.Position().String() {
		t.Errorf("the id of a message without one is %q, want its position %q", first.ID, first.Position())
	}
	named, err := h.Publish("a", Message{ID: "mine", Event: "price", Offset: 99, Epoch: "forged", Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if named.ID != "mine" || named.Event != "price" || named.Offset != 3 || named.Epoch != first.Epoch {
		t.Errorf("published as %+v", named)
	}
}

func TestPublishRefuses(t *testing.T) {
	h := NewHub(&Options{MaxMessageBytes: 4})
	tests := []struct {
		name    string
		channel string
		message Message
		want    error
	}{
		{"no name", "", Message{}, ErrInvalid},
		{"long name", strings.Repeat("n", 256), Message{}, ErrInvalid},
		{"text that is not UTF-8", "a", Message{Data: []byte("\xff")}, ErrInvalid},
		{"too large", "a", Message{Data: []byte("12345")}, ErrTooLarge},
		{"event of a transport", "a", Message{Event: "baro.reset"}, ErrInvalid},
		{"event marked as binary", "a", Message{Event: "price;base64"}, ErrInvalid},
		{"event with a line break", "a", Message{Event: "a\ndata: forged"}, ErrInvalid},
		{"long event", "a", Message{Event: strings.Repeat("e", 129)}, ErrInvalid},
		{"id with NUL", "a", Message{ID: "a\x00"}, ErrInvalid},
		{"long id", "a", Message{ID: strings.Repeat("i", 129)}, ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := h.Publish(test.channel, test.message); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
	if n := h.Stats().Channels; n != 0 {
		t.Errorf("%d channels were made by what was refused", n)
	}
	if _, err := h.Publish("a", Message{Data: []byte("\xff"), Binary: true}); err != nil {
		t.Errorf("binary that is not UTF-8: %v", err)
	}
}

// Every subscriber, whenever it came, gets every message from its beginning on, once and in order.
func TestOrderUnderConcurrency(t *testing.T) {
	const publishers, each, readers = 4, 500, 8
	h := NewHub(&Options{HistoryCount: publishers * each})
	recorders := make([]recorder, readers)
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				publish(t, h, "a", fmt.Sprintf("%d/%d", p, i))
			}
		})
	}
	for i := range recorders {
		wg.Go(func() {
			// Comes and goes, as a client with a bad line does.
			from := Oldest()
			for seen := 0; seen < publishers*each; {
				r := &recorders[i]
				sub, err := h.Subscribe("a", from, r)
				if err != nil {
					t.Error(err)
					return
				}
				for range 50 {
					publish(t, h, "elsewhere", "x")
				}
				sub.Close()
				// A delivery under way at Close may still end: wait for it by taking the channel's lock once.
				if _, err := h.Read("a", Now(), 0); err != nil {
					t.Error(err)
				}
				r.mu.Lock()
				if seen = len(r.messages); seen > 0 {
					from = After(r.messages[seen-1].Position())
				}
				r.mu.Unlock()
			}
		})
	}
	wg.Wait()

	for i := range recorders {
		next := make([]int, publishers)
		for n, m := range recorders[i].messages {
			if m.Offset != uint64(n+1) {
				t.Fatalf("reader %d: message %d has the offset %d", i, n, m.Offset)
			}
			var p, k int
			fmt.Sscanf(string(m.Data), "%d/%d", &p, &k)
			if next[p] != k {
				t.Fatalf("reader %d: publisher %d's message %d came when %d was due", i, p, k, next[p])
			}
			next[p]++
		}
		if got := len(recorders[i].messages); got != publishers*each {
			t.Errorf("reader %d got %d messages of %d", i, got, publishers*each)
		}
	}
}

func TestFrom(t *testing.T) {
	h := NewHub(&Options{HistoryCount: 3})
	last := publish(t, h, "a", "1", "2", "3", "4", "5") // 3, 4 and 5 are kept
	at := func(offset uint64) From { return After(Position{last.Epoch, offset}) }
	tests := []struct {
		name string
		from From
		want []string
		err  error
	}{
		{"now", Now(), nil, nil},
		{"zero", From{}, nil, nil},
		{"oldest", Oldest(), []string{"3", "4", "5"}, nil},
		{"the last", at(5), nil, nil},
		{"the one before", at(4), []string{"5"}, nil},
		{"the first that is whole", at(2), []string{"3", "4", "5"}, nil},
		// Never a part.
		{"one too early", at(1), nil, ErrNotRecoverable},
		{"the beginning", at(0), nil, ErrNotRecoverable},
		{"ahead", at(6), nil, ErrNotRecoverable},
		{"far ahead", at(1<<64 - 1), nil, ErrNotRecoverable},
		{"another life", After(Position{"OTHER", 4}), nil, ErrNotRecoverable},
		{"no epoch", After(Position{Offset: 3}), []string{"4", "5"}, nil},
		{"no epoch, ahead", After(Position{Offset: 6}), nil, ErrNotRecoverable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var r recorder
			sub, err := h.Subscribe("a", test.from, &r)
			if !errors.Is(err, test.err) || !slices.Equal(r.texts(), test.want) {
				t.Errorf("subscribed: %q, %v; want %q, %v", r.texts(), err, test.want, test.err)
			}
			if err == nil {
				if want := last.Offset - uint64(len(test.want)); sub.Start().Offset != want {
					t.Errorf("it starts at %d, want %d", sub.Start().Offset, want)
				}
				sub.Close()
			}
			batch, err := h.Read("a", test.from, 0)
			if !errors.Is(err, test.err) || !slices.Equal(texts(batch.Messages), test.want) {
				t.Errorf("read: %q, %v; want %q, %v", texts(batch.Messages), err, test.want, test.err)
			}
			if err == nil && batch.Next != last.Position() {
				t.Errorf("next is %v, want %v", batch.Next, last.Position())
			}
		})
	}

	_, err := h.Read("a", at(1), 0)
	why, ok := errors.AsType[*NotRecoverableError](err)
	if !ok || why.Channel != "a" || why.Last != last.Position() || why.Kept != 3 {
		t.Errorf("the error is %#v", err)
	}
}

func TestHistoryBounds(t *testing.T) {
	hundred := strings.Repeat("x", 100)
	kept := func(t *testing.T, h *Hub) int {
		t.Helper()
		batch, err := h.Read("a", Oldest(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(batch.Messages)
	}
	t.Run("count", func(t *testing.T) {
		h := NewHub(&Options{HistoryCount: 7})
		for range 100 {
			publish(t, h, "a", "x")
		}
		if n := kept(t, h); n != 7 {
			t.Errorf("%d messages are kept, want 7", n)
		}
	})
	t.Run("none", func(t *testing.T) {
		h := NewHub(&Options{HistoryCount: -1})
		publish(t, h, "a", "x")
		if n := kept(t, h); n != 0 || h.Stats().Bytes != 0 {
			t.Errorf("%d messages are kept, want none", n)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		h := NewHub(&Options{HistoryBytes: 2000})
		for range 100 {
			publish(t, h, "a", hundred)
		}
		if n := kept(t, h); n == 0 || n > 20 || h.Stats().Bytes > 2000 {
			t.Errorf("%d messages of 100 bytes are kept in %d bytes, the bound is 2000", n, h.Stats().Bytes)
		}
		publish(t, h, "a", strings.Repeat("x", 2001))
		if n := kept(t, h); n != 0 {
			t.Errorf("%d messages are kept after one that alone is beyond the bound", n)
		}
	})
	t.Run("bytes of empty messages", func(t *testing.T) {
		h := NewHub(&Options{HistoryCount: 1 << 30, HistoryBytes: 10_000})
		for range 10_000 {
			publish(t, h, "a", "")
		}
		if n := kept(t, h); n > 100 {
			t.Errorf("%d empty messages are kept: they take more than 10 kB", n)
		}
	})
	t.Run("age", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := NewHub(&Options{HistoryAge: time.Minute})
			publish(t, h, "a", "1")
			time.Sleep(40 * time.Second)
			publish(t, h, "a", "2")
			time.Sleep(19 * time.Second)
			if n := kept(t, h); n != 2 {
				t.Errorf("%d messages after 59 s, want 2", n)
			}
			time.Sleep(time.Second)
			if n := kept(t, h); n != 1 {
				t.Errorf("%d messages after 60 s, want 1", n)
			}
			if _, err := h.Read("a", After(Position{Offset: 0}), 0); !errors.Is(err, ErrNotRecoverable) {
				t.Errorf("the first message is past its age: %v", err)
			}
		})
	})
	t.Run("bytes of all channels", func(t *testing.T) {
		h := NewHub(&Options{MaxBytes: 10_000})
		for i := range 1000 {
			publish(t, h, fmt.Sprint("channel ", i), hundred)
			if b := h.Stats().Bytes; b > 10_000 {
				t.Fatalf("%d bytes, the bound is 10000", b)
			}
		}
		// Where nothing is idle, the channel published to gives way.
		sub, err := h.Subscribe("a", Now(), &recorder{})
		if err != nil {
			t.Fatal(err)
		}
		defer sub.Close()
		for range 1000 {
			publish(t, h, "a", hundred)
		}
		if s := h.Stats(); s.Bytes > 10_000 || s.Channels != 1 {
			t.Errorf("%+v; want one channel within 10000 bytes", s)
		}
		if n := kept(t, h); n == 0 {
			t.Error("nothing is kept")
		}
	})
}

func TestIdleChannelsVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(&Options{HistoryAge: time.Minute})
		before := publish(t, h, "a", "1")
		sub, err := h.Subscribe("held", Now(), &recorder{})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, h, "held", "1")
		if _, err := h.Read("never published to", Oldest(), 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if s := h.Stats(); s.Channels != 1 || s.Bytes != 0 {
			t.Errorf("%+v; want the channel that has a subscriber, and no messages", s)
		}
		after := publish(t, h, "a", "2")
		if after.Epoch == before.Epoch || after.Offset != 1 {
			t.Errorf("published at %v, in another life than %v", after.Position(), before.Position())
		}
		// A client of the first life learns that it is over, although its offset would fit.
		if _, err := h.Read("a", After(before.Position()), 0); !errors.Is(err, ErrNotRecoverable) {
			t.Errorf("a position of another life: %v", err)
		}
		held := publish(t, h, "held", "2")
		if held.Offset != 2 {
			t.Errorf("the channel with a subscriber began anew")
		}
		sub.Close()
		time.Sleep(2 * time.Minute)
		if s := h.Stats(); s.Channels != 0 {
			t.Errorf("%+v; want nothing", s)
		}
	})
}

// A client that tries many names must neither fill the memory nor push out what others have published.
func TestManyNames(t *testing.T) {
	h := NewHub(&Options{MaxChannels: 1000})
	genuine := publish(t, h, "real", "1")
	for i := range 100_000 {
		name := fmt.Sprint("guess ", i)
		if i%2 == 0 {
			if _, err := h.Read(name, Oldest(), 0); err != nil {
				t.Fatal(err)
			}
			continue
		}
		sub, err := h.Subscribe(name, Now(), &recorder{})
		if err != nil {
			t.Fatal(err)
		}
		sub.Close()
	}
	if n := h.Stats().Channels; n > 1000 {
		t.Errorf("%d channels, the bound is 1000", n)
	}
	if _, err := h.Read("real", After(genuine.Position()), 0); err != nil {
		t.Errorf("what was published is lost: %v", err)
	}
}

func TestTooManyChannels(t *testing.T) {
	h := NewHub(&Options{MaxChannels: 2})
	var subs []*Subscription
	for _, name := range []string{"a", "b"} {
		sub, err := h.Subscribe(name, Now(), &recorder{})
		if err != nil {
			t.Fatal(err)
		}
		subs = append(subs, sub)
	}
	if _, err := h.Publish("c", Message{}); !errors.Is(err, ErrTooManyChannels) {
		t.Errorf("published to a third channel: %v", err)
	}
	subs[0].Close()
	if _, err := h.Publish("c", Message{}); err != nil {
		t.Errorf("an idle channel did not make room: %v", err)
	}
}
