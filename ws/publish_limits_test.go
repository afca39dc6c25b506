package ws_test

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"baro.dev/ws"
)

// A subscriber that reads nothing is closed, or goes without, and neither the publisher nor the others notice.
func TestPublishToTheDeaf(t *testing.T) {
	for name, policy := range map[string]ws.Policy{"Close": ws.Close, "Drop": ws.Drop, "Block": ws.Block} {
		for _, loops := range []int{1, -1} {
			for _, secure := range []bool{false, true} {
				if secure && loops > 0 {
					continue // TLS is read the same way
				}
				t.Run(fmt.Sprint(name, "/loops ", loops, "/TLS ", secure), func(t *testing.T) {
					noLeaks(t)
					const limit = 256 << 10
					closed := make(chan error, 10)
					s := &ws.Server{Loops: loops, OnMessage: echoBack, OnClose: func(_ *ws.Socket, err error) { closed <- err }}
					s.Options.Queue = ws.Queue{MaxBytes: limit, Full: policy}
					f := openForum(t, s)
					deaf, c := f.member(t, "deaf", secure)
					other, o := f.reads(t, "other", false)
					mustSubscribe(t, c, "a")
					mustSubscribe(t, o, "a")
					var published atomic.Int64
					message := pattern('d', 60_000)
					publish := func() {
						t.Helper()
						text := fmt.Sprint(published.Add(1), message)
						mustPublish(t, s, "a", text)
						if err := other.expect(sawText(text)); err != nil {
							t.Fatal(err)
						}
						if n := c.Buffered(); n > limit {
							t.Fatalf("%d bytes are queued", n)
						}
					}
					if policy == ws.Drop {
						// What has been dropped is that which is not queued.
						for full := 0; full < 3; {
							before := c.Buffered()
							if publish(); before > 0 && before == c.Buffered() {
								full++
							}
						}
						if c.Err() != nil {
							t.Error(c.Err())
						}
						go deaf.collect()
						last := 0
						for m := range deaf.sights {
							var n int
							if fmt.Sscan(m.data, &n); n <= last {
								t.Fatalf("message %d after %d", n, last)
							}
							if last = n; c.Buffered() == 0 {
								break
							}
						}
						mustPublish(t, s, "a", "it hears again")
						for m := range deaf.sights {
							if m == sawText("it hears again") {
								return
							}
						}
						t.Fatal(deaf.end)
					}
					for c.Err() == nil {
						publish()
					}
					if ce, ok := errors.AsType[*ws.CloseError](c.Err()); !ok || ce.Code != ws.StatusPolicyViolation || !errors.Is(ce, ws.ErrQueueFull) {
						t.Error(c.Err())
					}
					publish() // the others go on
					deaf.Close()
					if err := <-closed; !errors.Is(err, ws.ErrQueueFull) {
						t.Error(err)
					}
					eventually(t, "it has left", func() bool { return s.Subscribers("a") == 1 })
				})
			}
		}
	}
}

// A publisher that is faster than all who deliver is slowed down: what it published does not pile up.
func TestPublishFaster(t *testing.T) {
	for _, loops := range []int{1, -1} {
		t.Run(fmt.Sprint("loops ", loops), func(t *testing.T) {
			noLeaks(t)
			hold, held := make(chan struct{}), make(chan struct{})
			s := &ws.Server{Loops: loops, Inline: true}
			s.OnMessage = func(c *ws.Socket, _ ws.Message) {
				close(held)
				<-hold // what Inline must not do: the loop delivers nothing now
			}
			s.Options.Queue = ws.Queue{MaxBytes: 1 << 20, Full: ws.Drop}
			f := openForum(t, s)
			blocker, _ := f.reads(t, "blocker", false)
			_, c := f.member(t, "deaf", false)
			mustSubscribe(t, c, "a")
			blocker.send(textFrame("hold"))
			<-held
			before := settled()
			text := pattern('f', 16<<10)
			for range 2000 { // 32 MB
				mustPublish(t, s, "a", text)
			}
			if grown := settled() - before; grown > 8*megabyte {
				t.Errorf("%.1f MB wait", float64(grown)/megabyte)
			}
			close(hold)
		})
	}
}

// To have 100,000 topics costs memory while they are there, and to come and go the time that it should.
func TestManyTopics(t *testing.T) {
	topics := 100_000
	if testing.Short() || raceEnabled {
		topics = 10_000
	}
	for _, loops := range []int{1, -1} {
		t.Run(fmt.Sprint("loops ", loops), func(t *testing.T) {
			noLeaks(t)
			f := openForum(t, &ws.Server{Loops: loops, OnMessage: echoBack})
			p, c := f.reads(t, "", false)
			before := settled()
			for i := range topics {
				if err := c.Subscribe(fmt.Sprint("topic ", i)); err != nil {
					t.Fatal(err)
				}
			}
			if n := c.Topics(); n != topics {
				t.Errorf("%d topics", n)
			}
			mustPublish(t, f.Server, fmt.Sprint("topic ", topics-1), "last")
			if err := p.expect(sawText("last")); err != nil {
				t.Error(err)
			}
			for i := range topics / 2 {
				if !c.Unsubscribe(fmt.Sprint("topic ", i)) {
					t.Fatal(i)
				}
			}
			p.send(closeFrame(1000, ""))
			<-c.Done()
			eventually(t, "the connection is gone", func() bool { return f.Len() == 0 })
			if n := f.Subscribers(fmt.Sprint("topic ", topics-1)); n != 0 || c.Topics() != 0 {
				t.Errorf("%d subscribers, %d topics are left", n, c.Topics())
			}
			if grown := settled() - before; grown > megabyte {
				t.Errorf("%.1f MB are left", float64(grown)/megabyte)
			}
		})
	}
}

// Everybody on one topic.
func TestManySubscribers(t *testing.T) {
	members := 4000
	if testing.Short() || raceEnabled {
		members = 400
	}
	for _, loops := range []int{1, 4, -1} {
		t.Run(fmt.Sprint("loops ", loops), func(t *testing.T) {
			noLeaks(t)
			f := openForum(t, &ws.Server{Loops: loops})
			var peers []net.Conn
			for i := range members {
				p, c := f.member(t, fmt.Sprint(i), false)
				mustSubscribe(t, c, "all")
				peers = append(peers, p)
			}
			if n := f.Subscribers("all"); n != members {
				t.Errorf("%d subscribers", n)
			}
			for i := range 3 {
				mustPublish(t, f.Server, "all", fmt.Sprint("news ", i))
			}
			for i, p := range peers {
				for j := range 3 {
					if f := readFrame(t, p); f.payload != fmt.Sprint("news ", j) {
						t.Fatalf("member %d: %+v, want news %d", i, f, j)
					}
				}
				p.Close()
			}
			eventually(t, "all have left", func() bool { return f.Len() == 0 })
			if n := f.Subscribers("all"); n != 0 {
				t.Errorf("%d subscribers are left", n)
			}
		})
	}
}
