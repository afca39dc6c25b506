package channel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// FuzzHub does one thing after the other, as the input says, with a hub that has a store and little memory, and that is
// replaced now and then as by a restart, and compares each answer with what a list of all messages says.
func FuzzHub(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte("publish, subscribe, restart and read, and read again; and restart"))
	f.Add([]byte{8, 8, 8, 8, 8, 8, 8, 8, 6, 8, 16, 24, 3, 11, 19, 4, 12, 20, 1, 9, 17, 6, 2, 10})
	f.Fuzz(func(t *testing.T, input []byte) {
		const kept = 5
		store := newFakeStore(t)
		o := Options{Store: lasting{store}, HistoryCount: kept, MaxBytes: 2000, MaxChannels: 2}
		h := NewHub(&o)
		defer func() { _ = h.Close() }()
		all := map[string][]*Message{}
		for i, b := range input[:min(len(input), 200)] {
			name := []string{"a", "b", "c"}[int(b>>3)%3]
			messages := all[name]
			recent := messages[max(0, len(messages)-kept):]
			text := fmt.Sprint(i)
			switch b & 7 {
			case 0, 1:
				m := Message{Data: []byte(text)}
				if b&7 == 1 {
					m.Key = fmt.Sprint("key ", b>>5)
				}
				got, err := h.Publish(name, m)
				if err != nil {
					t.Fatal(err)
				}
				if got.Offset == uint64(len(messages)+1) {
					for _, old := range recent {
						if m.Key != "" && old.Key == m.Key {
							t.Fatalf("step %d: published a second time", i)
						}
					}
					all[name] = append(messages, got)
				} else if first := messages[got.Offset-1]; m.Key == "" || first.Key != m.Key || got.Position() != first.Position() {
					t.Fatalf("step %d: published as %+v, an earlier one is %+v", i, got, first)
				}
			case 2:
				check(t, h, name, Oldest(), recent, nil)
			case 3, 4:
				if len(messages) == 0 {
					continue
				}
				after := int(b>>3) % (len(messages) + 1)
				var want error
				if after < len(messages)-kept {
					want = ErrNotRecoverable
				}
				check(t, h, name, After(Position{messages[0].Epoch, uint64(after)}), messages[after:], want)
			case 5:
				check(t, h, name, Last(), recent[max(0, len(recent)-1):], nil)
			case 6:
				_ = h.Close()
				h = NewHub(&o)
			case 7:
				if s := h.Stats(); s.Bytes > o.MaxBytes || s.Channels > o.MaxChannels {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}

// lasting is a store that outlives its hub.
type lasting struct{ Store }

func (lasting) Close() error { return nil }

func check(t *testing.T, h *Hub, name string, from From, want []*Message, wantErr error) {
	t.Helper()
	var r recorder
	sub, err := h.Subscribe(name, from, &r)
	if err == nil {
		sub.Close()
	}
	batch, readErr := h.Read(name, from, 0)
	if !errors.Is(err, wantErr) || !errors.Is(readErr, wantErr) {
		t.Fatalf("%v: %v and %v, want %v", from, err, readErr, wantErr)
	}
	if wantErr != nil {
		want = nil
	}
	if !slices.Equal(r.texts(), texts(want)) || !slices.Equal(texts(batch.Messages), texts(want)) {
		t.Fatalf("%v: %q and %q, want %q", from, r.texts(), texts(batch.Messages), texts(want))
	}
	for i, m := range batch.Messages {
		if m.Position() != want[i].Position() || m.ID != want[i].ID || !m.Time.Equal(want[i].Time) {
			t.Fatalf("%+v, want %+v", m, want[i])
		}
	}
}

// Readers that come and go, and wait, read everything once and in order, though memory holds next to nothing of it and
// the channel vanishes from it time and again.
func TestReadersWithStore(t *testing.T) {
	const publishers, each, readers = 3, 200, 4
	h := NewHub(&Options{Store: newFakeStore(t), HistoryCount: publishers * each, MaxBytes: 3000, MaxChannels: 2})
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for i := range each {
				publish(t, h, "a", fmt.Sprint(i))
				publish(t, h, "elsewhere", "x")
			}
		})
	}
	for n := range readers {
		wg.Go(func() {
			first, err := h.Read("a", Now(), 0)
			if err != nil {
				t.Error(err)
				return
			}
			next := Position{first.Next.Epoch, 0}
			seen := uint64(0)
			see := func(m *Message) {
				if seen++; m.Offset != seen {
					t.Errorf("reader %d: %d came when %d was due", n, m.Offset, seen)
				}
				next = m.Position()
			}
			for seen < publishers*each && !t.Failed() {
				if n%2 == 0 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					batch, err := h.Wait(ctx, "a", After(next), 1+int(seen)%20)
					cancel()
					if err != nil {
						t.Error(err)
					}
					for _, m := range batch.Messages {
						see(m)
					}
					continue
				}
				// Deliver and what reads seen take turns by the lock of the recorder.
				var r recorder
				sub, err := h.Subscribe("a", After(next), &r)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := h.Wait(t.Context(), "elsewhere", Last(), 1); err != nil {
					t.Error(err)
				}
				sub.Close()
				if _, err := h.Read("a", Now(), 0); err != nil { // a delivery under way has ended
					t.Error(err)
				}
				r.mu.Lock()
				for _, m := range r.messages {
					see(m)
				}
				r.mu.Unlock()
			}
		})
	}
	wg.Wait()
}
