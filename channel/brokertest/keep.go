package brokertest

import (
	"testing"
	"time"

	"baro.dev/channel"
)

// What is beyond the bounds is not among the recent; what is within them is kept.
func testKeep(t *testing.T, c Cluster) {
	a := c.Open()
	keep := all
	keep.Count = 5
	var last channel.Position
	for i := range 20 {
		last = put(t, a, "by count", text("%d", i), keep).Message.Position()
	}
	saved, err := a.Load("by count", keep)
	if err != nil || saved.Offset != 20 || saved.Count < 5 || len(saved.Recent) != 5 {
		t.Errorf("%+v, %v", saved, err)
	}
	checkSaved(t, &saved)
	readFrom(t, a, "by count", 15, last, 1)

	keep = all
	keep.Bytes = 10_000
	for range 20 {
		last = put(t, a, "by bytes", &channel.Message{Data: make([]byte, 2000)}, keep).Message.Position()
	}
	saved, err = a.Load("by bytes", keep)
	if err != nil || saved.Offset != 20 || saved.Count < 4 || len(saved.Recent) == 0 || len(saved.Recent) > 5 {
		t.Errorf("%d, %d recent of %d, %v", saved.Offset, len(saved.Recent), saved.Count, err)
	}
	readFrom(t, a, "by bytes", 16, last, 1)
	two := channel.Keep{Count: 2, Bytes: all.Bytes, Age: all.Age}
	if saved, err = a.Load("by bytes", two); err != nil || len(saved.Recent) != 2 || saved.Count < 4 {
		t.Errorf("%d recent of %d, %v", len(saved.Recent), saved.Count, err)
	}
	if saved, err = a.Load("by bytes", channel.Keep{}); err != nil || len(saved.Recent) != 0 || saved.Offset != 20 || saved.Count < 4 {
		t.Errorf("%d recent of %d, %v", len(saved.Recent), saved.Count, err)
	}
}

// Where nothing is kept the messages are counted and fed nevertheless.
func testKeepNothing(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	keep := channel.Keep{Age: time.Minute}
	feed, saved := follow(t, b, "a", keep)
	own, _ := follow(t, a, "a", keep)
	for i := range 10 {
		p := put(t, a, "a", text("%d", i), keep).Message.Position()
		if p.Epoch != saved.Epoch || p.Offset != uint64(i+1) {
			t.Errorf("message %d is at %s, followed at %s:0", i, p, saved.Epoch)
		}
	}
	last := channel.Position{Epoch: saved.Epoch, Offset: 10}
	if n := len(feed.untilAt(t, last)); n != 10 {
		t.Errorf("fed %d messages", n)
	}
	own.untilAt(t, last)
	saved, err := b.Load("a", keep)
	if err != nil || saved.Epoch != last.Epoch || saved.Offset != 10 || len(saved.Recent) != 0 {
		t.Errorf("%+v, %v", saved, err)
	}
	if _, saved = follow(t, c.Open(), "a", keep); saved.Epoch != last.Epoch || saved.Offset != 10 {
		t.Errorf("%+v", saved)
	}
	// The rules are replaced: from here on something is kept.
	put(t, b, "a", text("kept"), all)
	if saved, err = a.Load("a", all); err != nil || saved.Offset != 11 || len(saved.Recent) == 0 || string(saved.Recent[len(saved.Recent)-1].Data) != "kept" {
		t.Errorf("%+v, %v", saved, err)
	}
	checkSaved(t, &saved)
}

// The last message is kept whatever its age, where that is wanted.
func testKeepLast(t *testing.T, c Cluster) {
	a := c.Open()
	keep := channel.Keep{Count: 1, Bytes: 1, Age: time.Second / 2, Last: true}
	for i := range 3 {
		put(t, a, "a", text("state %d", i), keep)
	}
	time.Sleep(2 * keep.Age)
	recent := keep
	recent.Bytes = 1000
	saved, err := c.Open().Load("a", recent)
	if err != nil || saved.Offset != 3 || len(saved.Recent) != 1 || string(saved.Recent[0].Data) != "state 2" {
		t.Errorf("%+v, %v", saved, err)
	}
}
