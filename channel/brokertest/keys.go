package brokertest

import (
	"fmt"
	"sync"
	"testing"

	"baro.dev/channel"
)

// A message with the key of an earlier one is not there a second time, whichever process it comes from.
func testKeys(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	feed, _ := follow(t, a, "a", all)
	none := all
	none.Count = 0
	for _, keep := range []channel.Keep{all, none} {
		name := fmt.Sprint("of which is kept ", keep.Count)
		first := put(t, a, name, &channel.Message{Key: "k", ID: "first", Data: []byte("one")}, keep)
		put(t, a, name, text("between"), keep)
		again := put(t, b, name, &channel.Message{Key: "k", ID: "second", Data: []byte("two")}, keep)
		if first.Duplicate || !again.Duplicate || again.Message.Position() != first.Message.Position() || again.Message.ID != "first" ||
			!again.Message.Time.Equal(first.Message.Time) {
			t.Errorf("%s: %+v, then %+v", name, first, again)
		}
		if other := put(t, b, name, &channel.Message{Key: "K"}, keep); other.Duplicate || other.Message.Offset != 3 {
			t.Errorf("%s: with another key it is %+v", name, other)
		}
	}
	last := put(t, b, "a", &channel.Message{Key: "k"}, all)
	if last.Duplicate {
		t.Error("a key of another channel is not this one's")
	}
	feed.untilAt(t, last.Message.Position())
}

// Of those that come at once with one key, from several processes, one is there.
func testKeysAtOnce(t *testing.T, c Cluster) {
	const brokers, keys, each = 3, 10, 3
	var open []channel.Broker
	for range brokers {
		open = append(open, c.Open())
	}
	feed, saved := follow(t, open[0], "a", all)
	var mu sync.Mutex
	positions := map[string]channel.Position{}
	fresh := map[string]int{}
	var wg sync.WaitGroup
	for _, b := range open {
		for range each {
			wg.Go(func() {
				var answers []<-chan result
				for k := range keys {
					answers = append(answers, start(b, "a", &channel.Message{Key: fmt.Sprint(k), Data: []byte("x")}, all))
				}
				for k, answer := range answers {
					r := wait(t, answer)
					if r.err != nil {
						t.Error(r.err)
						continue
					}
					key := fmt.Sprint(k)
					mu.Lock()
					if p, ok := positions[key]; ok && p != r.Message.Position() {
						t.Errorf("key %s is at %s and at %s", key, p, r.Message.Position())
					}
					positions[key] = r.Message.Position()
					if !r.Duplicate {
						fresh[key]++
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for k := range keys {
		if fresh[fmt.Sprint(k)] != 1 {
			t.Errorf("key %d was new %d times", k, fresh[fmt.Sprint(k)])
		}
	}
	if messages := feed.untilAt(t, channel.Position{Epoch: saved.Epoch, Offset: keys}); len(messages) != keys {
		t.Errorf("there are %d messages, want %d", len(messages), keys)
	}
}
