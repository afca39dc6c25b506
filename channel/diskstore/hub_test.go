package diskstore_test

import (
	"fmt"
	"sync"
	"testing"

	"baro.dev/channel"
)

// A hub goes on where the last one ended, with everything that publishers were told is published.
func TestHub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var position channel.Position
	const publishers, each = 8, 25
	for life := range 3 {
		hub := channel.NewHub(&channel.Options{Store: open(t, dir, nil), HistoryCount: 10_000})
		var wait sync.WaitGroup
		for publisher := range publishers {
			wait.Go(func() {
				for i := range each {
					m := channel.Message{Data: fmt.Appendf(nil, "%d %d %d", life, publisher, i), User: "u", Key: fmt.Sprint(life, publisher, i)}
					if _, err := hub.Publish("c", m); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Wait()
		batch, err := hub.Read("c", channel.Oldest(), 0)
		if err != nil {
			t.Fatal(err)
		}
		want := (life + 1) * publishers * each
		if len(batch.Messages) != want || batch.Next.Offset != uint64(want) || (life > 0 && batch.Next.Epoch != position.Epoch) {
			t.Fatalf("life %d: %d messages up to %s, want %d", life, len(batch.Messages), batch.Next, want)
		}
		position = batch.Next
		next := make(map[string]int)
		for i, m := range batch.Messages {
			var l, publisher, n int
			if _, err := fmt.Sscan(string(m.Data), &l, &publisher, &n); err != nil || m.Offset != uint64(i+1) || m.User != "u" {
				t.Fatalf("message %d: %+v, %v", i+1, m, err)
			}
			of := fmt.Sprint(l, publisher)
			if n != next[of] {
				t.Fatalf("publisher %s: message %d, want %d", of, n, next[of])
			}
			next[of]++
		}
		// A key that was used before the restart is known after it.
		again, err := hub.Publish("c", channel.Message{Data: []byte("again"), Key: fmt.Sprint(0, 0, 0)})
		if err != nil || again.Offset > publishers*each {
			t.Fatalf("published again with the same key: %+v, %v", again, err)
		}
		if err := hub.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
