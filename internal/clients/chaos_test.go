package clients_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// ordered is a multiplexer that checks the order of what it is told, and answers calls.
type ordered struct {
	mu     sync.Mutex
	client *clients.Client
	at     map[string]uint64 // the newest offset; there only while subscribed
	wrong  []string
}

func (l *ordered) Close(clients.Reason)            {}
func (l *ordered) Presence(*channel.PresenceEvent) {}
func (l *ordered) Present(string, channel.Presence) {
}
func (l *ordered) HasRoom() bool                       { return rand.N(2) == 0 }
func (l *ordered) Room(ctx context.Context) error      { return ctx.Err() }
func (l *ordered) Unsubscribed(string, *clients.Error) {}

func (l *ordered) Subscribed(name string, s clients.Start) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at[name] = s.Offset
}

func (l *ordered) Message(name string, m *channel.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.at[name]; !ok || m.Offset != at+1 {
		l.wrong = append(l.wrong, fmt.Sprintf("%s: %d after %d, subscribed: %v", name, m.Offset, at, ok))
	}
	l.at[name] = m.Offset
}

func (l *ordered) Call(k clients.Call) {
	if rand.N(3) > 0 {
		go func() {
			l.mu.Lock()
			c := l.client
			l.mu.Unlock()
			_ = c.Answer(k.ID, []byte(`1`), nil)
		}()
	}
}

// Whatever clients and backends do at once: each channel comes in order and without a gap, calls are answered or fail, and nothing
// is left of those who are gone.
func TestEverythingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hub := house(func(_ *clients.Config, o *channel.Options) { o.HistoryCount = 1000 })
		names := []string{"open/a", "open/b", "open/c"}
		var under, calling sync.WaitGroup
		for range 3 {
			under.Go(func() {
				for i := range 1500 {
					_, _ = hub.Publish(names[rand.N(len(names))], channel.Message{Data: make([]byte, i%2000*50), Binary: true})
				}
			})
			under.Go(func() {
				for i := range 300 {
					target := clients.Target{Users: []string{fmt.Sprint(rand.N(5))}}
					switch i % 3 {
					case 0:
						r.Subscribe(target, names[rand.N(len(names))])
					case 1:
						r.Unsubscribe(target, "forced") // not one whose order is checked: who is told of messages late cannot tell
					case 2:
						calling.Go(func() {
							a, err := r.Call(t.Context(), clients.CallRequest{User: target.Users[0], Method: "m", Timeout: time.Second, Hold: rand.N(2 * time.Minute)})
							if err == nil && a.State != clients.Answered && a.State != clients.Failed {
								t.Error(a)
							}
						})
					}
				}
			})
		}
		for i := range 5 {
			for range 3 {
				under.Go(func() { visit(t, r, fmt.Sprint(i), names) })
			}
		}
		under.Wait()
		for i := range 5 { // those who are held for somebody end when he comes, or in time
			c, _ := connect(t, r, fmt.Sprint(i))
			time.Sleep(time.Minute)
			c.Gone("over")
		}
		calling.Wait()
		if n, users := r.Len(); n != 0 || users != 0 {
			t.Error(n, users)
		}
		for _, name := range names {
			if i, err := hub.Info(name); err != nil || i.Subscribers != 0 || i.Users != 0 {
				t.Errorf("%+v, %v", i, err)
			}
		}
	})
}

// visit connects again and again, and does what a client does.
func visit(t *testing.T, r *clients.Registry, user string, names []string) {
	for range 20 {
		l := &ordered{at: map[string]uint64{}}
		identity, err := r.Identify(t.Context(), clients.Hello{Token: user})
		if err != nil {
			t.Error(err)
			return
		}
		l.mu.Lock()
		l.client, _ = r.Enter(identity, clients.Hello{}, l)
		l.mu.Unlock()
		l.client.Begin(t.Context())
		var parts sync.WaitGroup
		for _, name := range slices.Clone(names) {
			parts.Go(func() {
				for range 3 {
					from := channel.Oldest()
					if rand.N(2) == 0 {
						from = channel.Now()
					}
					_ = l.client.Subscribe(name, clients.SubscribeOptions{From: from, Presence: rand.N(2) == 0}, func(s clients.Start) { l.Subscribed(name, s) })
					time.Sleep(rand.N(time.Millisecond))
				}
			})
		}
		parts.Go(func() { _, _ = l.client.Refresh(t.Context(), clients.Hello{Token: user}) })
		if rand.N(2) == 0 {
			parts.Wait()
		}
		l.client.Gone("over")
		parts.Wait()
		l.mu.Lock()
		for _, wrong := range l.wrong {
			t.Error(wrong)
		}
		l.mu.Unlock()
	}
}
