package brokertest

import (
	"fmt"
	"sync"
	"testing"

	"baro.dev/channel"
)

// What many publish from many processes at once is the same for all, in order, without gaps, and each publisher's in its order.
func testOrder(t *testing.T, c Cluster) {
	const brokers, publishers, each = 3, 3, 60
	var feeds []*recorder
	var open []channel.Broker
	for range brokers {
		b := c.Open()
		feed, _ := follow(t, b, "a", all)
		open, feeds = append(open, b), append(feeds, feed)
	}
	var mu sync.Mutex
	told := map[string]channel.Position{}
	var wg sync.WaitGroup
	for i, b := range open {
		for p := range publishers {
			wg.Go(func() {
				var before channel.Position
				for n := range each {
					m := text("%d/%d/%d", i, p, n)
					r := wait(t, start(b, "a", m, all))
					if r.err != nil || r.Duplicate || r.Message.Offset <= before.Offset {
						t.Errorf("%s: after %s it is %+v, %v", m.Data, before, r.Appended, r.err)
						return
					}
					before = r.Message.Position()
					mu.Lock()
					told[string(m.Data)] = before
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	const total = brokers * publishers * each
	epoch := told["0/0/0"].Epoch
	last := channel.Position{Epoch: epoch, Offset: total}
	for i, feed := range feeds {
		messages := feed.untilAt(t, last)
		if len(messages) != total {
			t.Fatalf("feed %d gave %d messages, want %d", i, len(messages), total)
		}
		for _, m := range messages {
			if told[string(m.Data)] != m.Position() {
				t.Fatalf("feed %d gave %q at %s, its publisher was told %s", i, m.Data, m.Position(), told[string(m.Data)])
			}
		}
	}
}

// A publisher need not wait: what it hands over is there in its order, in which it is answered, though never from within Append.
func testMany(t *testing.T, c Cluster) {
	const messages = 1000
	a, b := c.Open(), c.Open()
	feed, saved := follow(t, b, "a", all)
	var mu sync.Mutex
	var answered []int
	var wg sync.WaitGroup
	wg.Add(messages)
	for i := range messages {
		mu.Lock() // answered from within Append it would stand still
		a.Append("a", text("%d", i), all, func(got channel.Appended, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil || got.Message.Offset != uint64(i+1) {
				t.Errorf("message %d: %+v, %v", i, got, err)
			}
			answered = append(answered, i)
			wg.Done()
		})
		mu.Unlock()
	}
	wg.Wait()
	for i, n := range answered {
		if i != n {
			t.Fatalf("answer %d was for message %d", i, n)
		}
	}
	for i, m := range feed.untilAt(t, channel.Position{Epoch: saved.Epoch, Offset: messages}) {
		if string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m.Data)
		}
	}
}

// Who begins to follow while others publish misses nothing between what is saved and what it is fed.
func testJoin(t *testing.T, c Cluster) {
	const messages, rounds = 400, 10
	a, b := c.Open(), c.Open()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range messages {
			if r := wait(t, start(a, "a", text("%d", i+1), all)); r.err != nil {
				t.Error(r.err)
				return
			}
		}
	})
	defer wg.Wait()
	var first channel.Position
	for n := range rounds {
		feed, saved := follow(t, b, "a", all)
		for _, m := range saved.Recent {
			if string(m.Data) != fmt.Sprint(m.Offset) {
				t.Fatalf("%s is %q", m.Position(), m.Data)
			}
		}
		until := channel.Position{Epoch: saved.Epoch, Offset: uint64(messages * (n + 1) / rounds)}
		for _, m := range feed.untilAt(t, until) {
			if string(m.Data) != fmt.Sprint(m.Offset) {
				t.Fatalf("%s is %q", m.Position(), m.Data)
			}
		}
		if first.Epoch == "" {
			first.Epoch = saved.Epoch
		}
		if saved.Epoch != first.Epoch {
			t.Fatalf("the epoch was %s and is %s", first.Epoch, saved.Epoch)
		}
		b.Unfollow("a")
	}
}

// Who does not follow is not fed, and may follow again.
func testUnfollow(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	old, _ := follow(t, b, "a", all)
	other, _ := follow(t, b, "b", all)
	old.untilAt(t, put(t, a, "a", text("one"), all).Message.Position())
	b.Unfollow("a")
	b.Unfollow("never followed")
	put(t, a, "a", text("two"), all)
	feed, saved := follow(t, b, "a", all)
	if saved.Offset != 2 {
		t.Errorf("followed at %+v", saved)
	}
	if messages := feed.untilAt(t, put(t, b, "a", text("three"), all).Message.Position()); len(messages) != 1 {
		t.Errorf("fed %d messages", len(messages))
	}
	other.untilAt(t, put(t, a, "b", text("x"), all).Message.Position())
	old.mu.Lock()
	defer old.mu.Unlock()
	if n := len(old.messages); n > 2 {
		t.Errorf("the old feed was given %d messages", n)
	}
}
