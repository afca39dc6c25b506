package natsbroker_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
)

// publisher appends one message after the other until it is stopped, and notes what was acknowledged.
type publisher struct {
	stop  chan struct{}
	ended sync.WaitGroup

	mu        sync.Mutex
	acked     map[channel.Position]string
	uncertain map[string]bool
	failed    int
}

func publish(t *testing.T, b channel.Broker, name, by string) *publisher {
	p := &publisher{stop: make(chan struct{}), acked: map[channel.Position]string{}, uncertain: map[string]bool{}}
	p.ended.Go(func() {
		for i := 0; ; i++ {
			m := text("%s %d", by, i)
			a := testkit.Within(t, "an answer", start(b, name, m, many))
			p.mu.Lock()
			switch {
			case a.err == nil:
				p.acked[a.Message.Position()] = string(m.Data)
			case errors.Is(a.err, channel.ErrUncertain):
				p.uncertain[string(m.Data)] = true
			default:
				p.failed++
			}
			p.mu.Unlock()
			select {
			case <-p.stop:
				return
			default:
			}
		}
	})
	return p
}

// end ends the publisher, and says how many messages were acknowledged.
func (p *publisher) end() int {
	close(p.stop)
	p.ended.Wait()
	return len(p.acked)
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acked)
}

// check has every message be there once which was acknowledged, at its place, and none that failed.
func check(t *testing.T, messages []*channel.Message, publishers ...*publisher) {
	t.Helper()
	at := map[channel.Position]string{}
	seen := map[string]bool{}
	for _, m := range messages {
		if at[m.Position()] = string(m.Data); seen[string(m.Data)] {
			t.Errorf("%q is there twice", m.Data)
		}
		seen[string(m.Data)] = true
	}
	known := 0
	for _, p := range publishers {
		for position, data := range p.acked {
			if at[position] != data {
				t.Fatalf("%q was acknowledged at %s, where there is %q", data, position, at[position])
			}
		}
		known += len(p.acked)
		for data := range p.uncertain {
			if seen[data] {
				known++
			}
		}
	}
	if known != len(messages) {
		t.Errorf("there are %d messages, of which %d were acknowledged or uncertain", len(messages), known)
	}
}

// A server that is killed and comes back has all that it acknowledged, and followers miss nothing.
func TestKilled(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	url := "nats://" + server.Addr
	o := natsbroker.Options{Timeout: 20 * time.Second}
	a, b := open(t, url, o), open(t, url, o)
	feeds := []*feed{follow(t, a, "c"), follow(t, b, "c")}
	publishers := []*publisher{publish(t, a, "c", "a"), publish(t, b, "c", "b"), publish(t, b, "c", "c")}
	for round := 1; round <= 2; round++ {
		for _, p := range publishers {
			eventually(t, "messages are acknowledged", func() bool { return p.count() > 50*round })
		}
		server.Restart()
	}
	for _, p := range publishers {
		before := p.count()
		eventually(t, "messages are acknowledged again", func() bool { return p.count() > before+50 })
		p.end()
	}
	last := put(t, a, "c", text("last")).Message.Position()
	for _, f := range feeds {
		messages := f.until(t, last)
		check(t, messages[:len(messages)-1], publishers...)
		if f.timesLost() > 0 {
			t.Error("something was lost")
		}
	}
}

// Of three servers one may be away, whichever it is. In short, it is the one that leads the stream.
func TestOneOfThree(t *testing.T) {
	servers := embedded.NATS(t, 3)
	o := natsbroker.Options{Replicas: 3, Timeout: 20 * time.Second}
	a, b := open(t, servers[0].URL+","+servers[1].URL, o), open(t, servers[1].URL+","+servers[2].URL, o)
	feeds := []*feed{follow(t, a, "c"), follow(t, b, "c")}
	publishers := []*publisher{publish(t, a, "c", "a"), publish(t, b, "c", "b")}
	leader := info(t, servers[0].URL).Cluster.Leader
	for _, s := range servers {
		if s.Name() != leader && os.Getenv("BARO_PROOF") == "" {
			continue
		}
		s.Stop()
		for _, p := range publishers {
			before := p.count()
			eventually(t, "messages are acknowledged", func() bool { return p.count() > before+20 })
		}
		s.Restart()
	}
	for _, p := range publishers {
		p.end()
	}
	last := put(t, a, "c", text("last")).Message.Position()
	for _, f := range feeds {
		messages := f.until(t, last)
		check(t, messages[:len(messages)-1], publishers...)
		if f.timesLost() > 0 {
			t.Error("something was lost")
		}
	}
}

// Where NATS stands still, publishers are told in time, memory is bounded, and it goes on afterwards.
func TestStandsStill(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	url := "nats://" + server.Addr
	b := open(t, url, natsbroker.Options{Timeout: time.Second, MaxWaitingBytes: 1 << 20})
	f := follow(t, b, "c")
	put(t, b, "c", text("before"))
	server.Pause()
	var answers []<-chan answer
	for range 64 { // four times what may wait
		answers = append(answers, start(b, "c", &channel.Message{Data: make([]byte, 64<<10), Binary: true}, many))
	}
	if n := b.Stats().WaitingBytes; n > 1<<20 {
		t.Errorf("%d bytes wait", n)
	}
	busy := 0
	for _, c := range answers {
		a := testkit.Within(t, "an answer", c)
		switch {
		case errors.Is(a.err, natsbroker.ErrBusy):
			busy++
		case !errors.Is(a.err, natsbroker.ErrAway):
			t.Errorf("%+v, %v", a.Appended, a.err)
		}
	}
	if busy == 0 || busy == len(answers) {
		t.Errorf("%d of %d were too many", busy, len(answers))
	}
	if _, err := b.Load("other", many); !errors.Is(err, natsbroker.ErrAway) {
		t.Error(err)
	}
	eventually(t, "it is known to be away", func() bool { return b.Err() != nil })
	server.Continue()
	eventually(t, "it is known to be back", func() bool { return b.Err() == nil })
	f.until(t, put(t, b, "c", text("after")).Message.Position())
	if f.timesLost() > 0 {
		t.Error("something was lost")
	}
}

// Without a connection Append fails, and nothing is there later.
func TestAway(t *testing.T) {
	t.Parallel()
	server := brokers.NATS(t)
	b := open(t, "nats://"+server.Addr, natsbroker.Options{Timeout: 500 * time.Millisecond})
	before := put(t, b, "c", text("before"))
	server.Stop()
	eventually(t, "the connection is gone", func() bool {
		a := testkit.Within(t, "an answer", start(b, "c", text("away"), many))
		return errors.Is(a.err, natsbroker.ErrAway) && !errors.Is(a.err, channel.ErrUncertain)
	})
	server.Restart()
	eventually(t, "the connection is back", func() bool {
		a := testkit.Within(t, "an answer", start(b, "c", text("after"), many))
		return a.err == nil && a.Message.Epoch == before.Message.Epoch
	})
}

// Who does not know whether a message is there publishes it again with its key, through any process, and it is there once.
func TestUncertain(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	way := newProxy(t, url)
	a, b := open(t, way.url, natsbroker.Options{Timeout: time.Second}), open(t, url, natsbroker.Options{})
	put(t, a, "c", text("before"))
	way.block()
	unheard := testkit.Within(t, "an answer", start(a, "c", &channel.Message{Key: "k", Data: []byte("x")}, many))
	if !errors.Is(unheard.err, channel.ErrUncertain) {
		t.Fatalf("%+v, %v", unheard.Appended, unheard.err)
	}
	again := put(t, b, "c", &channel.Message{Key: "k", Data: []byte("x")})
	if !again.Duplicate || again.Message.Offset != 2 {
		t.Errorf("%+v", again)
	}
	way.cut()
	way.open()
	eventually(t, "the connection is back", func() bool {
		last := testkit.Within(t, "an answer", start(a, "c", &channel.Message{Key: "k"}, many))
		return last.err == nil && last.Duplicate && last.Message.Offset == 2
	})
	if next := put(t, a, "c", text("next")); next.Message.Offset != 3 {
		t.Errorf("%+v", next.Message)
	}
}

// An acknowledgement that is lost with the connection is found out about: the message is there once, and acknowledged.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	way := newProxy(t, url)
	a, b := open(t, way.url, natsbroker.Options{Timeout: 20 * time.Second}), open(t, url, natsbroker.Options{})
	there := put(t, a, "c", text("before")).Message.Position()
	f := follow(t, b, "c")
	for i := range 3 {
		way.block()
		var answers []<-chan answer
		for n := range 10 {
			answers = append(answers, start(a, "c", text("%d %d", i, n), many))
		}
		there.Offset++
		f.until(t, there) // the first of them, and perhaps all
		if i == 1 {
			put(t, b, "c", text("another's"))
		}
		way.cut()
		way.open()
		for _, c := range answers {
			if r := testkit.Within(t, "an answer", c); r.err != nil {
				t.Fatal(r.err)
			}
		}
		there = put(t, a, "c", text("between")).Message.Position() // after which a knows where the channel ends
	}
	last := put(t, b, "c", text("last")).Message.Position()
	seen := map[string]int{}
	for _, m := range f.until(t, last) {
		seen[string(m.Data)]++
	}
	for i := range 3 {
		for n := range 10 {
			if c := seen[fmt.Sprintf("%d %d", i, n)]; c != 1 {
				t.Errorf("message %d %d is there %d times", i, n, c)
			}
		}
	}
	if last.Offset != 36 {
		t.Errorf("it ends at %s", last)
	}
}

// Followers whose connection was away catch up, or are told that they cannot.
func TestReconnect(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	way := newProxy(t, url)
	a, b := open(t, url, natsbroker.Options{}), open(t, way.url, natsbroker.Options{})
	few, quiet := follow(t, b, "few"), follow(t, b, "quiet")
	way.block()
	var last channel.Position
	for i := range 100 {
		last = put(t, a, "few", text("%d", i)).Message.Position()
	}
	end := put(t, a, "quiet", text("one")).Message.Position()
	way.cut()
	way.open()
	if n := len(few.until(t, last)); n != 100 || few.timesLost() > 0 {
		t.Errorf("%d messages, lost %d times", n, few.timesLost())
	}
	if n := len(quiet.until(t, end)); n != 1 || quiet.timesLost() > 0 {
		t.Errorf("%d messages, lost %d times", n, quiet.timesLost())
	}
	way.block()
	for i := range 3 {
		last = put(t, a, "few", text("more %d", i)).Message.Position()
	}
	if err := purge(t, url, "few"); err != nil {
		t.Fatal(err)
	}
	way.cut()
	way.open()
	next := put(t, a, "few", text("anew")).Message.Position()
	few.until(t, next)
	if next.Epoch == last.Epoch || few.timesLost() != 1 {
		t.Errorf("after %s it goes on at %s; lost %d times", last, next, few.timesLost())
	}
}
