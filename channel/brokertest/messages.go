package brokertest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
)

// A channel that has nothing has an epoch for those who follow it, the same for all.
func testEmpty(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	if saved, err := a.Load("a", all); err != nil || saved.Offset != 0 || saved.Count != 0 || len(saved.Recent) != 0 {
		t.Errorf("of a channel that never was: %+v, %v", saved, err)
	}
	if messages, err := a.Read("a", "epoch", 0, 1000); err != nil || len(messages) != 0 {
		t.Errorf("of a channel that never was: %v, %v", messages, err)
	}
	_, first := follow(t, a, "a", all)
	there, second := follow(t, b, "a", all)
	if first.Offset != 0 || second.Offset != 0 || first.Epoch != second.Epoch {
		t.Errorf("one follows %+v, the other %+v", first, second)
	}
	a.Unfollow("a")
	if _, again := follow(t, a, "a", all); again.Epoch != first.Epoch {
		t.Errorf("it was %q and is %q", first.Epoch, again.Epoch)
	}
	put := put(t, a, "a", text("x"), all)
	if put.Message.Epoch != first.Epoch || put.Message.Offset != 1 {
		t.Errorf("the first message is %s, it was followed at %s:0", put.Message.Position(), first.Epoch)
	}
	there.untilAt(t, put.Message.Position())
}

// Whatever a message has is there for those who get it by a feed, by Load, or by Read.
func testFields(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	feed, _ := follow(t, b, "a", all)
	own, _ := follow(t, a, "a", all)
	messages := []*channel.Message{
		{},
		{Data: []byte("메세지 \x00 \r\n"), Event: "price", ID: "mine", User: "ana", Key: "k", Sender: "c1", Exclude: true},
		{Data: []byte{0, 0xff, '\r', '\n'}, Binary: true, Offset: 77, Epoch: "forged", Time: time.Unix(1, 0)},
		{Binary: true},
		{Data: bytes.Repeat([]byte("0123456789abcdef"), 16<<10)}, // the longest that a hub takes where nothing else is said
		{Event: strings.Repeat("é", 64), ID: strings.Repeat("i", 128), User: strings.Repeat("u", 128), Key: strings.Repeat("k", 128), Sender: strings.Repeat("s", 128)},
	}
	var last channel.Position
	for i, m := range messages {
		before := *m
		answer := put(t, a, "a", m, all)
		if answer.Duplicate || answer.Message.Offset != uint64(i+1) || answer.Message.Epoch == "" {
			t.Fatalf("message %d is %+v", i, answer)
		}
		if !same(&before, m) || m.Offset != before.Offset || m.Epoch != before.Epoch || m.Time != before.Time {
			t.Errorf("message %d was changed", i)
		}
		checkFields(t, m, answer.Message, "Append")
		last = answer.Message.Position()
	}
	fed := feed.untilAt(t, last)
	saved, err := b.Load("a", all)
	if err != nil || saved.Epoch != last.Epoch || saved.Offset != last.Offset || saved.Count != len(messages) || saved.Bytes == 0 {
		t.Fatalf("loaded %+v, %v", saved, err)
	}
	checkSaved(t, &saved)
	read := readAll(t, b, "a", last)
	for i, m := range messages {
		checkFields(t, m, fed[i], "the feed")
		checkFields(t, m, own.untilAt(t, last)[i], "the publisher's own feed")
		if from := len(saved.Recent) - len(messages) + i; from >= 0 {
			checkFields(t, m, saved.Recent[from], "Load")
		}
		checkFields(t, m, read[i], "Read")
		if !fed[i].Time.Equal(read[i].Time) || fed[i].ID != read[i].ID {
			t.Errorf("message %d is %+v by the feed, and %+v read", i, fed[i], read[i])
		}
	}
	if len(saved.Recent) == 0 {
		t.Error("nothing is recent")
	}
}

func same(a, b *channel.Message) bool {
	return bytes.Equal(a.Data, b.Data) && a.Binary == b.Binary && a.Event == b.Event && a.ID == b.ID && a.User == b.User &&
		a.Key == b.Key && a.Sender == b.Sender && a.Exclude == b.Exclude
}

func checkFields(t *testing.T, want, got *channel.Message, by string) {
	t.Helper()
	w := *want
	if w.ID == "" {
		w.ID = got.Position().String()
	}
	if !same(&w, got) {
		t.Errorf("by %s: %.300v, want %.300v", by, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", &w))
	}
	if d := time.Since(got.Time); d < -time.Minute || d > 10*time.Minute {
		t.Errorf("by %s: its time is %v", by, got.Time)
	}
}

// readAll reads a channel from its beginning up to last, in parts.
func readAll(t *testing.T, b channel.Broker, name string, last channel.Position) []*channel.Message {
	t.Helper()
	return readFrom(t, b, name, 0, last, 100)
}

func readFrom(t *testing.T, b channel.Broker, name string, after uint64, last channel.Position, maxBytes int) (read []*channel.Message) {
	t.Helper()
	for after < last.Offset {
		part, err := b.Read(name, last.Epoch, after, maxBytes)
		if err != nil || len(part) == 0 {
			t.Fatalf("Read after %d of %s: %d messages, %v", after, last, len(part), err)
		}
		size := 0
		for i, m := range part {
			if after++; m.Offset != after || m.Epoch != last.Epoch {
				t.Fatalf("read %s, want offset %d", m.Position(), after)
			}
			if size += len(m.Data); size > maxBytes && i > 0 {
				t.Fatalf("%d bytes in %d messages, at most %d were wanted", size, len(part), maxBytes)
			}
		}
		read = append(read, part...)
	}
	return read
}

// Names are any, and no two are the same channel.
func testNames(t *testing.T, c Cluster) {
	a, b := c.Open(), c.Open()
	names := []string{
		"a", "A", "a.b", "a/b", "a b", "*", ">", "a.*", "{a}", "{a}b", "a:b", "a%20b", "$a", "-", "_", "..", "메세지", "é", "e\u0301",
		strings.Repeat("n", channel.MaxNameBytes), strings.Repeat("n", channel.MaxNameBytes-1),
	}
	feeds := map[string]*recorder{}
	for _, name := range names {
		feeds[name], _ = follow(t, b, name, all)
	}
	var answers []<-chan result
	for _, name := range names {
		answers = append(answers, start(a, name, text("to %q", name), all))
	}
	for i, name := range names {
		r := wait(t, answers[i])
		if r.err != nil || r.Message.Offset != 1 {
			t.Fatalf("to %q: %+v, %v", name, r.Appended, r.err)
		}
		for _, m := range feeds[name].untilAt(t, r.Message.Position()) {
			if string(m.Data) != fmt.Sprintf("to %q", name) {
				t.Errorf("to %q came %q", name, m.Data)
			}
		}
	}
}

// A part is as long as it may be, and there is none of what is not there.
func testRead(t *testing.T, c Cluster) {
	a := c.Open()
	var last channel.Position
	for i := range 30 {
		last = put(t, a, "a", &channel.Message{Data: bytes.Repeat([]byte{'x'}, 100+i)}, all).Message.Position()
	}
	for _, maxBytes := range []int{1, 100, 101, 250, 1000, 1 << 20} {
		if n := len(readFrom(t, a, "a", 0, last, maxBytes)); n != 30 {
			t.Errorf("%d messages in parts of %d bytes", n, maxBytes)
		}
	}
	if part, err := a.Read("a", last.Epoch, 0, 1<<20); err != nil || len(part) < 2 {
		t.Errorf("a part of 1 MiB has %d messages, %v", len(part), err)
	}
	for _, p := range []channel.Position{last, {Epoch: last.Epoch, Offset: 31}, {Epoch: last.Epoch, Offset: 1<<64 - 1}, {Epoch: "another", Offset: 3}} {
		if part, err := a.Read("a", p.Epoch, p.Offset, 1000); err != nil || len(part) != 0 {
			t.Errorf("after %s: %d messages, %v", p, len(part), err)
		}
	}
}
