package ws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// What the methods that count say, before, while and after.
func TestSubscriptionCounts(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		f := openForum(t, c.server())
		peers, sockets := f.people(t, c, 6)
		if n := f.Subscribers("a"); n != 0 {
			t.Errorf("%d subscribers of a topic that there is not", n)
		}
		for i, s := range sockets {
			mustSubscribe(t, s, "a", "a", "b", "") // twice is once, and "" is a topic like any other
			if s.Topics() != 3 || !s.Subscribed("a") || !s.Subscribed("") || s.Subscribed("A") {
				t.Error(s.Topics(), s.Subscribed("a"), s.Subscribed(""), s.Subscribed("A"))
			}
			if f.Subscribers("a") != i+1 || f.Subscribers("") != i+1 {
				t.Error(f.Subscribers("a"), f.Subscribers(""), i+1)
			}
		}
		for i, s := range sockets {
			if !s.Unsubscribe("b") || s.Unsubscribe("b") || s.Unsubscribe("never") || s.Subscribed("b") || s.Topics() != 2 {
				t.Error(i, s.Topics(), s.Subscribed("b"))
			}
		}
		mustPublish(t, f.Server, "b", "nobody hears it")
		mustPublish(t, f.Server, "a", "once")
		for _, p := range peers {
			if err := p.expect(sawText("once")); err != nil {
				t.Error(err)
			}
			if err := p.echo("and no more"); err != nil {
				t.Error(err)
			}
		}
	})
}

// A connection leaves all its topics when it ends, however it does, and cannot subscribe after that. OnClose finds it so.
func TestSubscriptionsEnd(t *testing.T) {
	ends := map[string]func(p *peer, c *ws.Socket){
		"the peer closes":   func(p *peer, _ *ws.Socket) { p.send(closeFrame(4001, "")) },
		"the peer vanishes": func(p *peer, _ *ws.Socket) { p.Close() },
		"the peer is wrong": func(p *peer, _ *ws.Socket) { p.send(newFrame(fin|0x3, "")); p.Close() },
		"CloseNow":          func(_ *peer, c *ws.Socket) { c.CloseNow() },
		"Close":             func(p *peer, c *ws.Socket) { c.Close(4000, ""); p.send(closeFrame(4000, "")) },
	}
	eachCrowd(t, func(t *testing.T, c crowd) {
		s := c.server()
		closed := make(chan error, len(ends)*2)
		s.OnClose = func(c *ws.Socket, err error) {
			if n := c.Topics(); n != 0 || c.Subscribed("a") || c.Unsubscribe("a") {
				t.Errorf("%d topics are left in OnClose", n)
			}
			if got := c.Subscribe("again"); got == nil || got.Error() != err.Error() {
				t.Errorf("subscribed in OnClose: %v, want %v", got, err)
			}
			closed <- err
		}
		f := openForum(t, s)
		for name, end := range ends {
			for _, secure := range []bool{false, true} {
				p, c := f.reads(t, fmt.Sprint(name, secure), secure)
				mustSubscribe(t, c, "a", "b", "c")
				end(p, c)
				select {
				case <-closed:
				case <-time.After(patience):
					t.Fatalf("%s: OnClose was not called", name)
				}
				<-c.Done()
				if err := c.Subscribe("later"); err == nil || !errors.Is(err, c.Err()) {
					t.Errorf("%s: %v, want %v", name, err, c.Err())
				}
			}
		}
		for _, topic := range []string{"a", "b", "c", "again", "later"} {
			if n := f.Subscribers(topic); n != 0 {
				t.Errorf("%s has %d subscribers", topic, n)
			}
		}
	})
}

// Publish refuses what Send refuses, subscribers or not, and data is the caller's when it has returned.
func TestPublishData(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		f := openForum(t, c.server())
		check := func() {
			t.Helper()
			if err := f.Publish("a", ws.Text, []byte("\xff")); err == nil || !strings.Contains(err.Error(), "UTF-8") {
				t.Error(err)
			}
			if err := f.Publish("a", 0, nil); err == nil {
				t.Error("published a message of no type")
			}
			if err := f.Publish("a", 9, nil); err == nil {
				t.Error("published a ping")
			}
		}
		check()
		peers, sockets := f.people(t, c, 4)
		for _, s := range sockets {
			mustSubscribe(t, s, "a")
		}
		check()
		data := bytes.Repeat([]byte("x"), 10_000)
		if err := f.Publish("a", ws.Text, data); err != nil {
			t.Error(err)
		}
		clear(data)
		prepared, err := ws.NewPreparedMessage(ws.Binary, []byte("prepared"))
		if err != nil {
			t.Fatal(err)
		}
		f.PublishPrepared("a", prepared)
		f.PublishPrepared("nobody's", prepared)
		f.PublishPrepared("a", prepared)
		for _, p := range peers {
			for _, want := range sights(sawText(strings.Repeat("x", 10_000)), sawBinary("prepared"), sawBinary("prepared")) {
				if err := p.expect(want); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A message that a Writer is in the middle of is not cut into: what is published meanwhile follows it.
func TestPublishDuringWriter(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		f := openForum(t, c.server())
		peers, sockets := f.people(t, c, 4)
		mustSubscribe(t, sockets[3], "a", "b")
		for i, s := range sockets[:3] {
			mustSubscribe(t, s, "a", "b")
			w, err := s.Writer(context.Background(), ws.Text)
			if err != nil {
				t.Fatal(err)
			}
			text := pattern(byte(i), 50_000)
			w.Write([]byte(text[:30_000]))
			mustPublish(t, f.Server, "a", fmt.Sprint("first during ", i))
			mustPublish(t, f.Server, "b", fmt.Sprint("then during ", i))
			// It has been delivered to all when it has come to the last; who is there over TLS has a turn of its own.
			if err := peers[3].expect(sawText(fmt.Sprint("first during ", i))); err != nil {
				t.Fatal(err)
			}
			if err := peers[3].expect(sawText(fmt.Sprint("then during ", i))); err != nil {
				t.Fatal(err)
			}
			w.Write([]byte(text[30_000:]))
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			for j, p := range peers[:i+1] {
				want := sights(sawText(fmt.Sprint("first during ", i)), sawText(fmt.Sprint("then during ", i)))
				if j == i {
					want = append(sights(sawText(text)), want...)
				}
				for _, w := range want {
					if err := p.expect(w); err != nil {
						t.Fatalf("%d of %d: %v", j, i, err)
					}
				}
			}
		}
	})
}

// Everything at once: subscriptions come and go, connections too, and many publish. Who stays gets all of what it stays
// subscribed to.
func TestPublishRaces(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		const visitors, each, rounds = 3, 6, 100
		f := openForum(t, c.server())
		witnesses, sockets := f.people(t, c, 3)
		for _, s := range sockets {
			mustSubscribe(t, s, "all")
		}
		var racing sync.WaitGroup
		for v := range visitors {
			racing.Go(func() {
				for i := range each {
					p, c := f.reads(t, fmt.Sprint("visitor ", v, i), i == 0)
					go func() {
						for range p.sights {
						}
					}()
					var busy sync.WaitGroup
					for range 2 {
						busy.Go(func() {
							for j := range 30 {
								c.Subscribe("all")
								c.Subscribe(fmt.Sprint(j % 7))
								c.Topics()
								c.Unsubscribe(fmt.Sprint(j % 5))
								f.Publish(fmt.Sprint(j%7), ws.Text, []byte("some"))
							}
						})
					}
					busy.Go(func() {
						switch i % 3 {
						case 0:
							c.Close(4000, "")
						case 1:
							c.CloseNow()
						default:
							p.Close()
						}
					})
					busy.Wait()
				}
			})
		}
		for i := range rounds {
			mustPublish(t, f.Server, "all", fmt.Sprint(i))
		}
		for _, p := range witnesses {
			for i := range rounds {
				if err := p.expect(sawText(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		racing.Wait()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "all have left", func() bool { return f.Subscribers("all") == 0 && f.Len() == 0 })
		for i := range 7 {
			if n := f.Subscribers(fmt.Sprint(i)); n != 0 {
				t.Errorf("topic %d has %d subscribers", i, n)
			}
		}
	})
}
