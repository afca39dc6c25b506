package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"baro.dev/channel"
)

// listener is a subscriber that remembers.
type listener struct {
	mu    sync.Mutex
	heard []string
	lost  int
}

func (l *listener) Deliver(m *channel.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, string(m.Data))
}

func (l *listener) Lost(*channel.NotRecoverableError) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
	return true
}

// Hubs that share a channel give all subscribers everything in order and once, their own when Publish returns; and whoever comes with
// a position, on whichever hub, goes on where it was.
func testHubs(t *testing.T, c Cluster) {
	const hubs, each = 3, 60
	const total = hubs * each
	var open []*channel.Hub
	listeners := make([]listener, hubs)
	for i := range hubs {
		// Of one of them next to nothing is in memory.
		h := channel.NewHub(&channel.Options{Broker: c.Open(), HistoryCount: 2 * total, MaxBytes: int64(3000 + i<<20)})
		t.Cleanup(func() { _ = h.Close() })
		sub, err := h.Subscribe("a", channel.Now(), &listeners[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sub.Close)
		open = append(open, h)
	}
	travelled := make([]string, 0, total)
	var wg sync.WaitGroup
	wg.Go(func() { travelled = travel(t, open, total) })
	for i, h := range open {
		wg.Go(func() {
			for n := range each {
				m := channel.Message{Data: fmt.Appendf(nil, "%d/%d", i, n), Key: fmt.Sprint(i, "/", n)}
				got, err := h.Publish("a", m)
				if err != nil {
					t.Error(err)
					return
				}
				l := &listeners[i]
				l.mu.Lock()
				if !slices.Contains(l.heard, string(m.Data)) {
					t.Errorf("%s is published, and was not handed to who subscribes there", m.Data)
				}
				l.mu.Unlock()
				if n%10 == 0 { // once more, elsewhere
					again, err := open[(i+1)%hubs].Publish("a", m)
					if err != nil || again.Position() != got.Position() {
						t.Errorf("%s is at %s, and again at %+v, %v", m.Data, got.Position(), again, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	batch, err := open[0].Read("a", channel.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	last := channel.Position{Epoch: batch.Next.Epoch, Offset: total}
	for i, h := range open {
		if _, err := h.Read("a", channel.After(last), 0); err != nil { // when it has come that far
			t.Fatal(err)
		}
		l := &listeners[i]
		l.mu.Lock()
		if !slices.Equal(l.heard, travelled) || l.lost > 0 {
			t.Errorf("hub %d: %d were heard, lost %d times; who travelled has %d", i, len(l.heard), l.lost, len(travelled))
		}
		l.mu.Unlock()
	}
}

// travel reads a channel, each part on another hub.
func travel(t *testing.T, hubs []*channel.Hub, total int) (all []string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := channel.Oldest()
	for i := 0; len(all) < total; i++ {
		batch, err := hubs[i%len(hubs)].Wait(ctx, "a", next, 100)
		if err != nil {
			t.Errorf("after %d: %v", len(all), err)
			break
		}
		for _, m := range batch.Messages {
			all = append(all, string(m.Data))
		}
		next = channel.After(batch.Next)
	}
	return all
}
