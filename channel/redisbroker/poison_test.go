package redisbroker_test

import (
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/testkit/brokers"
)

// What others publish on the broker's channels has nobody told anything, and loses nothing.
func TestPoisonPublished(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t, "--client-output-buffer-limit", "pubsub", "0", "0", "0")
	c := client(t, s)
	b := open(t, single(s), redisbroker.Options{MaxMessageBytes: 1 << 20})
	f, saved := follow(t, b, "a")
	sub := c.Subscribe(t.Context(), "baro:p0:{a}")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.untilAt(t, put(t, b, "a", text("one")).Position())
	m, err := sub.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good := m.Payload
	far := []byte(good)
	far[14+4+1+1] = 1 // an offset of 2^48 and more
	poison := []string{
		"", "x", good[:13], good[:20], good[:len(good)-1], good + "x", good + good, string(far), "\x02" + good[1:], strings.Repeat("\xff", 100),
		"\x01AAAAAAAAAAAAA" + good[14:], "\x01aaaaaaaaaaaaa" + good[14:], "\x01" + saved.Epoch + "\xff\xff\xff\xff", "\x01" + saved.Epoch + "\x00\x00\x00\x01\x01",
		strings.Repeat("x", 100<<20),
	}
	for _, p := range poison {
		if err := c.Publish(t.Context(), "baro:p0:{a}", p).Err(); err != nil {
			t.Fatal(err)
		}
	}
	f.untilAt(t, put(t, b, "a", text("two")).Position())
	eventually(t, "they are counted", func() bool { return b.Stats().Poisoned >= 9 })
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lost) != 0 || len(f.order) != 2 {
		t.Errorf("lost %d times, %q", len(f.lost), f.order)
	}
}

// What others put under the broker's keys is skipped, or removed; the broker goes on, and says what cannot be had.
func TestPoisonKept(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	c := client(t, s)
	ctx := t.Context()
	b := open(t, single(s), redisbroker.Options{MaxMessageBytes: 1 << 20})
	fill := func(name string) channel.Position {
		put(t, b, name, &channel.Message{Key: "k", Data: []byte("one")})
		return put(t, b, name, text("two")).Position()
	}
	for i, suffix := range []string{"m", "l", "k", "o"} {
		name := "type " + suffix
		p := fill(name)
		key := "baro:c:{" + name + "}:" + suffix
		c.Del(ctx, key)
		if suffix == "l" || suffix == "o" {
			c.HSet(ctx, key, "x", "y")
		} else {
			c.RPush(ctx, key, "x")
		}
		f, saved := follow(t, b, name)
		m := put(t, b, name, &channel.Message{Key: "new", Data: []byte("three")})
		f.untilAt(t, m.Position())
		if again := i == 0; again == (m.Epoch == p.Epoch) {
			t.Errorf("%s: after %s came %s", name, p, m.Position())
		}
		if suffix == "l" && saved.Count != 0 {
			t.Errorf("%s: %d are kept", name, saved.Count)
		}
	}

	p := fill("meta")
	c.Set(ctx, "baro:c:{meta}:m", "nobody wrote this", 0)
	if saved, err := b.Load("meta", keepAll); err != nil || saved.Epoch != "" {
		t.Errorf("%+v, %v", saved, err)
	}
	if m := put(t, b, "meta", text("x")); m.Epoch == p.Epoch || m.Offset != 1 {
		t.Errorf("after %s came %s", p, m.Position())
	}

	p = fill("entries")
	c.RPush(ctx, "baro:c:{entries}:l", "nobody wrote this", strings.Repeat("x", 2<<20))
	last := put(t, b, "entries", text("three"))
	saved, err := b.Load("entries", keepAll)
	if err != nil || saved.Offset != 3 || len(saved.Recent) != 1 || saved.Count != 1 {
		t.Errorf("%+v, %v", saved, err)
	}
	if read, err := b.Read("entries", p.Epoch, 0, 1<<20); err != nil || len(read) != 0 {
		t.Errorf("%d were read, %v", len(read), err)
	}
	if read, err := b.Read("entries", p.Epoch, 2, 1<<20); err != nil || len(read) != 1 || read[0].Offset != last.Offset {
		t.Errorf("%d were read, %v", len(read), err)
	}
	if n := b.Stats().Poisoned; n < 6 {
		t.Errorf("%d are counted", n)
	}

	fill("newer")
	meta := c.Get(ctx, "baro:c:{newer}:m").Val()
	c.Set(ctx, "baro:c:{newer}:m", "\x02"+meta[1:]+"more", 0)
	if _, err := try(b, "newer", text("x")); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("%v", err)
	}
}

// Redis does not fill up: what nobody uses expires, and begins anew then; what is followed stays.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	c := client(t, s)
	o := redisbroker.Options{Remember: 8 * time.Second, CheckEvery: 100 * time.Millisecond}
	a, b := open(t, single(s), o), open(t, single(s), o)
	quiet := &feed{got: make(map[channel.Position]string)}
	if _, err := a.Follow("quiet", channel.Keep{Count: 1, Bytes: 1, Age: time.Second}, quiet); err != nil {
		t.Fatal(err)
	}
	before := o.Remember
	eventually(t, "what is followed is remembered for longer", func() bool {
		left := c.PTTL(t.Context(), "baro:c:{quiet}:m").Val()
		longer := left > before
		before = left
		return longer
	})
	keep := channel.Keep{Count: 10, Bytes: 1 << 20, Age: time.Second}
	answer := <-start(b, "used", &channel.Message{Key: "k", Data: []byte("x")}, keep)
	if answer.err != nil {
		t.Fatal(answer.err)
	}
	for _, key := range []string{"m", "l", "k", "o"} {
		if left := c.PTTL(t.Context(), "baro:c:{used}:"+key).Val(); left <= 0 || left > 2*channel.KeyAge {
			t.Errorf("%s goes in %v", key, left)
		}
		c.Del(t.Context(), "baro:c:{used}:"+key) // as it will be
	}
	if again := put(t, a, "used", text("y")); again.Epoch == answer.Message.Epoch || again.Offset != 1 {
		t.Errorf("after %s came %s", answer.Message.Position(), again.Position())
	}
	keep.Last = true
	if answer := <-start(b, "last", text("x"), keep); answer.err != nil {
		t.Fatal(answer.err)
	}
	for key, forever := range map[string]bool{"m": true, "l": false, "n": true} {
		if left := c.PTTL(t.Context(), "baro:c:{last}:"+key).Val(); (left < 0) != forever {
			t.Errorf("of what keeps the last, %s goes in %v", key, left)
		}
	}
}

// Clusters with other prefixes, or in other databases, share a Redis and do not meet.
func TestPrefix(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	second := single(s)
	second.DB = 1
	all := []*redisbroker.Broker{
		open(t, single(s), redisbroker.Options{Prefix: "one:"}), open(t, single(s), redisbroker.Options{Prefix: "two:"}), open(t, second, redisbroker.Options{Prefix: "one:"}),
	}
	var feeds []*feed
	for _, b := range all {
		f, _ := follow(t, b, "a")
		feeds = append(feeds, f)
	}
	for i, b := range all {
		feeds[i].untilAt(t, put(t, b, "a", text("%d", i)).Position())
	}
	for i, f := range feeds {
		f.mu.Lock()
		if len(f.order) != 1 || len(f.lost) != 0 {
			t.Errorf("feed %d has %q", i, f.order)
		}
		f.mu.Unlock()
		if n := all[i].Stats().Poisoned; n != 0 {
			t.Errorf("broker %d has skipped %d", i, n)
		}
	}
	if _, err := redisbroker.Open(single(s), &redisbroker.Options{Prefix: "a{b}"}); err == nil {
		t.Error("a prefix with braces is taken")
	}
}
