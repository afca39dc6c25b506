package natsbroker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/cluster"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
)

// purge removes all of a channel, as an operator may.
func purge(t *testing.T, url, name string) error {
	t.Helper()
	s, err := stream(t, url).Stream(context.Background(), "BARO_CHANNELS")
	if err != nil {
		return err
	}
	return s.Purge(context.Background(), jetstream.WithPurgeSubject("baro.p."+cluster.Word(name)))
}

func info(t *testing.T, url string) *jetstream.StreamInfo {
	t.Helper()
	s, err := stream(t, url).Stream(context.Background(), "BARO_CHANNELS")
	if err != nil {
		t.Fatal(err)
	}
	i, err := s.Info(context.Background(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// A channel that was purged begins anew; those who follow it are told.
func TestPurged(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
	f := follow(t, b, "c")
	old := put(t, a, "c", text("old")).Message.Position()
	f.until(t, old)
	if err := purge(t, url, "c"); err != nil {
		t.Fatal(err)
	}
	next := put(t, a, "c", text("new")).Message.Position()
	if next.Offset != 1 || next.Epoch == old.Epoch {
		t.Errorf("after %s came %s", old, next)
	}
	f.until(t, next)
	if f.timesLost() != 1 {
		t.Errorf("lost %d times", f.timesLost())
	}
}

// What nobody wrote who uses this package is skipped, wherever it is, and counted.
func TestForeign(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	nc := connect(t, url)
	a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
	f := follow(t, b, "c")
	poison := func(kind string, data []byte) {
		t.Helper()
		subject := "baro." + kind + "." + cluster.Word("c")
		if kind == "r" {
			if err := nc.Publish(subject, data); err != nil {
				t.Fatal(err)
			}
			return
		}
		if _, err := nc.Request(subject, data, testkit.Patience); err != nil {
			t.Fatal(err)
		}
	}
	for i, data := range [][]byte{nil, []byte("{}"), append([]byte{2}, make([]byte, 100)...), make([]byte, 512<<10)} {
		put(t, a, "c", text("%d", i))
		poison("p", data)
		poison("r", data)
	}
	last := put(t, open(t, url, natsbroker.Options{}), "c", text("last")).Message.Position()
	if n := len(f.until(t, last)); n != 5 || f.timesLost() > 0 {
		t.Errorf("%d messages, lost %d times", n, f.timesLost())
	}
	poison("p", []byte("at the end"))
	saved, err := open(t, url, natsbroker.Options{}).Load("c", many)
	if err != nil || saved.Offset != 5 || saved.Epoch != last.Epoch || len(saved.Recent) != 5 {
		t.Errorf("%+v, %v", saved, err)
	}
	if last = put(t, a, "c", text("after")).Message.Position(); last.Offset != 6 {
		t.Errorf("it goes on at %s", last)
	}
	f.until(t, last)
	eventually(t, "what is foreign is counted", func() bool { return b.Stats().Foreign >= 9 })
}

// Copies of records that somebody puts into the stream once more are no records, wherever they are, and be they the last: the channel goes on.
func TestCopies(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	nc := connect(t, url)
	heard, err := nc.SubscribeSync("baro.r.*")
	if err != nil {
		t.Fatal(err)
	}
	a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
	f := follow(t, b, "c")
	var last channel.Position
	for i := range 3 {
		last = put(t, a, "c", text("%d", i)).Message.Position()
	}
	var copies []*nats.Msg
	for len(copies) < 4 { // the first says only what the epoch is
		m, err := heard.NextMsg(testkit.Patience)
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, m)
	}
	for _, at := range []int{3, 1, 2, 2, 0} {
		m := &nats.Msg{Subject: "baro.p." + cluster.Word("c"), Data: copies[at].Data}
		if _, err := nc.RequestMsg(m, testkit.Patience); err != nil {
			t.Fatal(err)
		}
		m.Subject = copies[at].Subject
		if err := nc.PublishMsg(m); err != nil { // without what the stream says of it
			t.Fatal(err)
		}
		if err := nc.PublishMsg(copies[at]); err != nil {
			t.Fatal(err)
		}
		fresh := open(t, url, natsbroker.Options{})
		saved, err := fresh.Load("c", many)
		if err != nil || saved.Epoch != last.Epoch || saved.Offset != last.Offset {
			t.Fatalf("%+v, %v", saved, err)
		}
		next := put(t, fresh, "c", text("after %d", at)).Message.Position()
		if next.Epoch != last.Epoch || next.Offset != last.Offset+1 {
			t.Fatalf("after %v comes %v", last, next)
		}
		f.until(t, next)
		last = next
	}
	if next := put(t, a, "c", text("last")).Message.Position(); next.Epoch != last.Epoch || next.Offset != 9 {
		t.Errorf("the last is %v, after %v", next, last)
	} else if n := len(f.until(t, next)); n != 9 || f.timesLost() > 0 {
		t.Errorf("%d messages, lost %d times", n, f.timesLost())
	}
	eventually(t, "copies are counted", func() bool { return b.Stats().Foreign >= 10 })
}

// A follower that is too slow gets all nevertheless: what waits for it is bounded in bytes, and what has no room is read from the stream.
func TestSlowFollower(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
	f := follow(t, b, "c")
	f.mu.Lock()
	f.slow = make(chan struct{})
	f.mu.Unlock()
	var last channel.Position
	for range 60 { // one record each: together they would be few
		var answers []<-chan answer
		for i := range 100 {
			answers = append(answers, start(a, "c", &channel.Message{Key: fmt.Sprint(last.Offset, i), Data: make([]byte, 4<<10), Binary: true}, many))
		}
		for _, c := range answers {
			if r := testkit.Within(t, "an answer", c); r.err != nil {
				t.Fatal(r.err)
			} else {
				last = r.Message.Position()
			}
		}
	}
	close(f.slow)
	if n := len(f.until(t, last)); n != 6000 || f.timesLost() > 0 {
		t.Errorf("%d messages, lost %d times", n, f.timesLost())
	}
	eventually(t, "what was dropped is counted", func() bool { return b.Stats().Dropped > 0 })
}

// What rules do not keep does not stay in the stream, and what they keep more of has room.
func TestBounds(t *testing.T) {
	for name, url := range map[string]string{"embedded": embedded.NATS(t, 1)[0].URL, "Debian's": "nats://" + brokers.NATS(t).Addr} {
		b := open(t, url, natsbroker.Options{})
		fill := func(channelName string, keep channel.Keep, size int) {
			for range 20 {
				var answers []<-chan answer
				for range 100 {
					answers = append(answers, start(b, channelName, &channel.Message{Data: make([]byte, size), Binary: true}, keep))
				}
				for _, c := range answers {
					if r := testkit.Within(t, "an answer", c); r.err != nil {
						t.Fatal(r.err)
					}
				}
			}
		}
		fill("none", channel.Keep{Age: time.Hour}, 10)
		fill("bytes", channel.Keep{Count: 5000, Bytes: 2 << 20, Age: time.Hour}, 10<<10)
		eventually(t, name+": what is not kept is purged", func() bool {
			saved, err := b.Load("bytes", channel.Keep{})
			return err == nil && saved.Bytes < 8<<20 && saved.Bytes > 2<<20 && saved.Offset == 2000
		})
		eventually(t, name+": the stream has more room", func() bool { return info(t, url).Config.MaxMsgsPerSubject >= 5000 })
	}
}

// A message from anywhere in a long channel is found.
func TestOldOffsets(t *testing.T) {
	for name, url := range map[string]string{"embedded": embedded.NATS(t, 1)[0].URL, "Debian's": "nats://" + brokers.NATS(t).Addr} {
		t.Run(name, func(t *testing.T) {
			b := open(t, url, natsbroker.Options{})
			b2 := open(t, url, natsbroker.Options{})
			eventually(t, "there is room", func() bool {
				put(t, b, "other", text("x"))
				return info(t, url).Config.MaxMsgsPerSubject > 10_000
			})
			const total = 6000
			var answers []<-chan answer
			for i := range total {
				m := text("%d", i+1)
				if i%3 == 0 {
					m.Key = fmt.Sprint(i) // so that records are short
				}
				answers = append(answers, start(b, "c", m, many))
			}
			var epoch string
			for _, c := range answers {
				r := testkit.Within(t, "an answer", c)
				if r.err != nil {
					t.Fatal(r.err)
				}
				epoch = r.Message.Epoch
			}
			for _, after := range []uint64{0, 1, 63, 64, 500, 511, 1000, 2047, 4095, 4096, 5000, 5990, 5999} {
				part, err := b2.Read("c", epoch, after, 10)
				if err != nil || len(part) == 0 || part[0].Offset != after+1 || string(part[0].Data) != fmt.Sprint(after+1) {
					t.Errorf("after %d: %d messages, %v", after, len(part), err)
				}
			}
			saved, err := b2.Load("c", channel.Keep{Count: 100, Bytes: 1 << 20})
			if err != nil || saved.Count != total || len(saved.Recent) != 100 || saved.Recent[99].Offset != total {
				t.Errorf("%d of %d, %v", len(saved.Recent), saved.Count, err)
			}
		})
	}
}

// While somebody follows a channel it is not forgotten, however long nothing is published.
func TestRemembered(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	b := open(t, url, natsbroker.Options{Remember: 2 * time.Second, VerifyEvery: 100 * time.Millisecond})
	keep := channel.Keep{Count: 10, Bytes: 1 << 20, Age: time.Second}
	f := &feed{}
	saved, err := b.Follow("followed", keep, f)
	if err != nil {
		t.Fatal(err)
	}
	first := testkit.Within(t, "an answer", start(b, "left", text("x"), keep))
	if first.err != nil {
		t.Fatal(first.err)
	}
	eventually(t, "what nobody follows is forgotten", func() bool {
		saved, err := b.Load("left", keep)
		return err == nil && saved.Epoch == ""
	})
	a := testkit.Within(t, "an answer", start(b, "followed", text("x"), keep))
	if a.err != nil || a.Message.Epoch != saved.Epoch || a.Message.Offset != 1 {
		t.Errorf("%+v, %v; it was followed at %s", a.Message, a.err, saved.Epoch)
	}
	if f.timesLost() > 0 {
		t.Error("something was lost")
	}
}

// A stream that is there already is changed where that can be, else the error says what is wrong.
func TestOtherStream(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	js := stream(t, url)
	config := jetstream.StreamConfig{Name: "BARO_CHANNELS", Subjects: []string{"baro.p.*"}, MaxMsgsPerSubject: 5, Replicas: 1}
	if _, err := js.CreateStream(context.Background(), config); err != nil {
		t.Fatal(err)
	}
	a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
	f := follow(t, a, "c")
	f.until(t, put(t, b, "c", text("x")).Message.Position())
	if c := info(t, url).Config; c.MaxMsgsPerSubject < 1024 || !c.AllowDirect || c.RePublish == nil || c.Duplicates != channel.KeyAge {
		t.Errorf("%+v", c)
	}

	config = jetstream.StreamConfig{Name: "OTHER_CHANNELS", Subjects: []string{"other.p.*"}, Storage: jetstream.MemoryStorage}
	if _, err := js.CreateStream(context.Background(), config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if _, err := natsbroker.Open(ctx, connect(t, url), &natsbroker.Options{Prefix: "other"}); !errors.Is(err, natsbroker.ErrStream) || ctx.Err() != nil {
		t.Error(err)
	}
	if _, err := natsbroker.Open(ctx, connect(t, url), &natsbroker.Options{Prefix: "too.many", Replicas: 3}); !errors.Is(err, natsbroker.ErrStream) || ctx.Err() != nil {
		t.Error(err)
	}
}

// What is longer than the server takes is refused, and nothing else is.
func TestTooLarge(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	b := open(t, url, natsbroker.Options{})
	a := testkit.Within(t, "an answer", start(b, "c", &channel.Message{Data: make([]byte, 1<<20), Binary: true}, many))
	if !errors.Is(a.err, natsbroker.ErrTooLarge) {
		t.Error(a.err)
	}
	put(t, b, "c", &channel.Message{Data: make([]byte, 1<<20-2048), Binary: true})
	a = testkit.Within(t, "an answer", start(b, "c", &channel.Message{Data: []byte{0xff}}, many))
	if !errors.Is(a.err, channel.ErrInvalid) {
		t.Error(a.err)
	}
}
