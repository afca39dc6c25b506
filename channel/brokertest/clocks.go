package brokertest

import (
	"fmt"
	"testing"
	"time"

	"baro.dev/channel"
)

// Clocks has hubs whose processes have clocks that are an hour off, either way, share channels: all keep the same for the same time, and
// whoever comes with a position goes on there. open makes a broker of a process with a clock; all are of one cluster.
func Clocks(t *testing.T, open func(clock func() time.Time) channel.Broker) {
	short, err := channel.ParsePattern("short")
	if err != nil {
		t.Fatal(err)
	}
	rules := []channel.Rule{{Pattern: short, Settings: channel.Settings{HistoryAge: time.Second}}}
	hub := func(ahead time.Duration) *channel.Hub {
		h := channel.NewHub(&channel.Options{
			Broker: open(func() time.Time { return time.Now().Add(ahead) }), HistoryAge: time.Minute, Rules: rules,
		})
		t.Cleanup(func() { _ = h.Close() })
		return h
	}
	skews := []time.Duration{0, time.Hour, -time.Hour}
	var hubs []*channel.Hub
	for _, ahead := range skews {
		hubs = append(hubs, hub(ahead))
	}
	read := func(h *channel.Hub, name string, from channel.From) []*channel.Message {
		t.Helper()
		b, err := h.Read(name, from, 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return b.Messages
	}
	var first channel.Position
	total := 0
	for range 2 {
		for i, h := range hubs {
			m, err := h.Publish("long", channel.Message{Data: fmt.Append(nil, total)})
			if err != nil {
				t.Fatal(err)
			}
			if total++; total == 1 {
				first = m.Position()
			}
			if off := time.Since(m.Time); off < -10*time.Second || off > 10*time.Second {
				t.Errorf("a clock that is %v ahead: a message has the time %v", skews[i], m.Time)
			}
			if _, err := h.Publish("short", channel.Message{Data: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, ahead := range skews {
		for _, h := range []*channel.Hub{hubs[i], hub(ahead)} {
			if n := len(read(h, "long", channel.After(first))); n != total-1 {
				t.Errorf("a clock that is %v ahead: of %d messages %d follow the first", ahead, total, n)
			}
			if n := len(read(h, "long", channel.Oldest())); n != total {
				t.Errorf("a clock that is %v ahead: of %d messages there are %d", ahead, total, n)
			}
			for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				n := len(read(h, "short", channel.Oldest()))
				if n == 0 {
					break
				}
				if time.Now().After(end) {
					t.Errorf("a clock that is %v ahead: %d messages outlive their second", ahead, n)
					break
				}
			}
		}
	}
}
