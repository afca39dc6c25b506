// Package bustest has what every bus is held to. Only tests import it.
package bustest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/testkit"
)

// Run tests buses. pair makes two of one cluster, which it closes at the end of the test, and each time of another cluster.
func Run(t *testing.T, pair func(t *testing.T) (a, b cluster.Bus)) {
	for name, f := range map[string]func(t *testing.T, a, b cluster.Bus){
		"order": order, "both hear": bothHear, "stop": stop, "too large": tooLarge, "many subjects": manySubjects, "copies": copies, "closed": closed,
		"two listen": twoListen,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			f(t, a, b)
		})
	}
}

// Ready waits until what a bus has listened for before comes through to it from another.
func Ready(t *testing.T, from, to cluster.Bus) {
	t.Helper()
	subject := "ready." + cluster.Word(fmt.Sprint(time.Now().UnixNano()))
	came := make(chan struct{}, 1)
	end, err := to.Listen(subject, func([]byte) {
		select {
		case came <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	for start := time.Now(); time.Since(start) < testkit.Patience; {
		_ = from.Publish(subject, []byte("ready"))
		select {
		case <-came:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatalf("nothing gets through: %v, %v", from.Err(), to.Err())
}

// collector keeps what comes, but for what says that it may.
type collector struct {
	mu    sync.Mutex
	all   [][]byte
	ready bool
	came  chan struct{}
}

// hears waits until what is published by a bus comes to collectors of its subject. (That one subject comes through says nothing of
// another: they may be at different servers.)
func hears(t *testing.T, from cluster.Bus, subject string, all ...*collector) {
	t.Helper()
	for _, c := range all {
		c.mu.Lock()
		c.ready = false
		c.mu.Unlock()
	}
	for start := time.Now(); time.Since(start) < testkit.Patience; time.Sleep(time.Millisecond) {
		_ = from.Publish(subject, []byte("ready"))
		left := 0
		for _, c := range all {
			c.mu.Lock()
			if !c.ready {
				left++
			}
			c.mu.Unlock()
		}
		if left == 0 {
			return
		}
	}
	t.Fatalf("nothing gets through on %s: %v", subject, from.Err())
}

func collect(t *testing.T, b cluster.Bus, subject string) (*collector, func()) {
	t.Helper()
	c := &collector{came: make(chan struct{}, 1)}
	end, err := b.Listen(subject, func(data []byte) {
		c.mu.Lock()
		if string(data) == "ready" {
			c.ready = true
		} else {
			c.all = append(c.all, bytes.Clone(data))
		}
		c.mu.Unlock()
		select {
		case c.came <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, end
}

func (c *collector) wait(t *testing.T, n int) [][]byte {
	t.Helper()
	deadline := time.After(testkit.Patience)
	for {
		c.mu.Lock()
		all := c.all
		c.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-c.came:
		case <-deadline:
			t.Fatalf("%d of %d have come", len(all), n)
		}
	}
}

func publish(t *testing.T, b cluster.Bus, subject string, data []byte) {
	t.Helper()
	if err := b.Publish(subject, data); err != nil {
		t.Fatal(err)
	}
}

// order: those of each sender come in order, and all.
func order(t *testing.T, a, b cluster.Bus) {
	const n, batch = 5000, 1000 // which a bus holds for one who does not take them
	c, end := collect(t, b, "news")
	defer end()
	hears(t, a, "news", c)
	hears(t, b, "news", c)
	for from := 0; from < n; from += batch {
		var senders sync.WaitGroup
		for who, bus := range []cluster.Bus{a, b} {
			senders.Go(func() {
				for i := from; i < from+batch; i++ {
					if err := bus.Publish("news", binary.BigEndian.AppendUint32([]byte{byte(who)}, uint32(i))); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		senders.Wait()
		c.wait(t, 2*(from+batch))
	}
	var next [2]uint32
	for _, m := range c.wait(t, 2*n) {
		if got := binary.BigEndian.Uint32(m[1:]); got != next[m[0]] {
			t.Fatalf("%d after %d", got, next[m[0]])
		}
		next[m[0]]++
	}
}

func bothHear(t *testing.T, a, b cluster.Bus) {
	ca, endA := collect(t, a, "x.y-z_0")
	cb, endB := collect(t, b, "x.y-z_0")
	other, endOther := collect(t, b, "x")
	defer endOther()
	defer endA()
	defer endB()
	hears(t, a, "x.y-z_0", ca, cb)
	publish(t, a, "x.y-z_0", []byte("hello"))
	publish(t, a, "x.y-z_0", nil)
	for _, c := range []*collector{ca, cb} {
		all := c.wait(t, 2)
		if string(all[0]) != "hello" || len(all[1]) != 0 {
			t.Errorf("%q", all)
		}
	}
	if len(other.all) != 0 {
		t.Errorf("another subject has got %q", other.all)
	}
}

// What was on its way when somebody begins to listen may come to him. Who has stopped is not called again.
func stop(t *testing.T, a, b cluster.Bus) {
	before, end := collect(t, b, "stop")
	mine, endMine := collect(t, a, "stop")
	defer endMine()
	hears(t, a, "stop", before, mine)
	publish(t, a, "stop", []byte("1"))
	before.wait(t, 1)
	end()
	end()
	publish(t, a, "stop", []byte("2"))
	mine.wait(t, 2)
	c, end := collect(t, b, "stop")
	defer end()
	hears(t, a, "stop", c)
	publish(t, a, "stop", []byte("3"))
	all := c.wait(t, 1)
	if string(all[0]) == "2" {
		all = c.wait(t, 2)[1:]
	}
	if string(all[0]) != "3" {
		t.Errorf("%q", all)
	}
	if all := before.wait(t, 1); len(all) != 1 || string(all[0]) != "1" {
		t.Errorf("who has stopped: %q", all)
	}
}

func tooLarge(t *testing.T, a, b cluster.Bus) {
	c, end := collect(t, b, "large")
	defer end()
	hears(t, a, "large", c)
	if err := a.Publish("large", make([]byte, a.MaxBytes()+1)); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("%v", err)
	}
	publish(t, a, "large", bytes.Repeat([]byte("x"), a.MaxBytes()))
	if all := c.wait(t, 1); len(all[0]) != a.MaxBytes() {
		t.Errorf("%d bytes", len(all[0]))
	}
}

func manySubjects(t *testing.T, a, b cluster.Bus) {
	const n = 1000
	var all [n]*collector
	for i := range all {
		c, end := collect(t, b, fmt.Sprintf("many.%d", i))
		defer end()
		all[i] = c
	}
	Ready(t, a, b)
	for i, c := range all[:20] { // of which some are at each server, and the last to be listened to
		hears(t, a, fmt.Sprintf("many.%d", i), c)
		hears(t, a, fmt.Sprintf("many.%d", n-1-i), all[n-1-i])
	}
	for i := range all {
		publish(t, a, fmt.Sprintf("many.%d", i), fmt.Append(nil, i))
	}
	for i, c := range all {
		if got := c.wait(t, 1); string(got[0]) != fmt.Sprint(i) {
			t.Errorf("%d has got %q", i, got)
		}
	}
}

// copies: the bus keeps nothing of what it was given.
func copies(t *testing.T, a, b cluster.Bus) {
	c, end := collect(t, b, "copy")
	defer end()
	hears(t, a, "copy", c)
	data := []byte("before")
	for range 100 {
		copy(data, "before")
		publish(t, a, "copy", data)
		copy(data, "after!")
	}
	for _, m := range c.wait(t, 100) {
		if string(m) != "before" {
			t.Fatalf("%q", m)
		}
	}
}

func twoListen(t *testing.T, a, b cluster.Bus) {
	c1, end1 := collect(t, b, "two")
	c2, end2 := collect(t, b, "two")
	defer end2()
	hears(t, a, "two", c1, c2)
	publish(t, a, "two", []byte("1"))
	c1.wait(t, 1)
	c2.wait(t, 1)
	end1()
	publish(t, a, "two", []byte("2"))
	c2.wait(t, 2)
	if all := c1.wait(t, 1); len(all) != 1 {
		t.Errorf("%q", all)
	}
}

func closed(t *testing.T, a, b cluster.Bus) {
	c, end := collect(t, b, "last")
	defer end()
	hears(t, a, "last", c)
	for range 100 {
		publish(t, a, "last", []byte("bye"))
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	c.wait(t, 100)
	if err := a.Publish("last", nil); !errors.Is(err, cluster.ErrClosed) {
		t.Error(err)
	}
	if _, err := a.Listen("last", func([]byte) {}); !errors.Is(err, cluster.ErrClosed) {
		t.Error(err)
	}
	if err := a.Err(); !errors.Is(err, cluster.ErrClosed) {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
