package ws_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
)

// What is published on a topic comes to those who have subscribed to it, once, and to nobody else.
func TestPublishReaches(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		const members, topics = 12, 5
		f := openForum(t, c.server())
		peers, sockets := f.people(t, c, members)
		subscribed := func(member, topic int) bool { return (member+1)*(topic+3)%4 < 2 }
		for i, s := range sockets {
			for topic := range topics {
				if subscribed(i, topic) {
					mustSubscribe(t, s, fmt.Sprint(topic))
				}
			}
		}
		for topic := range topics {
			mustPublish(t, f.Server, fmt.Sprint(topic), fmt.Sprint("on ", topic))
			mustPublish(t, f.Server, fmt.Sprint(topic), fmt.Sprint(pattern('p', 1000), topic))
			if err := f.Publish(fmt.Sprint(topic), ws.Binary, []byte{byte(topic), 0xff}); err != nil {
				t.Error(err)
			}
		}
		for i, p := range peers {
			for topic := range topics {
				if !subscribed(i, topic) {
					continue
				}
				for _, want := range sights(sawText(fmt.Sprint("on ", topic)), sawText(fmt.Sprint(pattern('p', 1000), topic)), sawBinary(string([]byte{byte(topic), 0xff}))) {
					if err := p.expect(want); err != nil {
						t.Fatalf("member %d: %v", i, err)
					}
				}
			}
			if err := p.echo("nothing else"); err != nil {
				t.Errorf("member %d: %v", i, err)
			}
		}
	})
}

// The messages of one publisher come in their order, whatever topics they are on, and each comes once, though many publish.
func TestPublishOrder(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		const members, publishers, each = 4, 4, 60
		s := c.server()
		s.Options.Queue.MaxBytes = 8 << 20 // a peer over TLS is not asked before it is queued
		f := openForum(t, s)
		peers, sockets := f.people(t, c, members)
		for _, s := range sockets {
			mustSubscribe(t, s, "a", "b", "c")
		}
		var wg sync.WaitGroup
		for id := range publishers {
			wg.Go(func() {
				long := pattern(byte(id), 3000)
				random := rand.New(rand.NewPCG(1, uint64(id)))
				for seq := range each {
					text := fmt.Sprint(id, " ", seq, " ", long[:random.IntN(len(long))])
					if err := f.Publish(string('a'+byte(random.IntN(3))), ws.Text, []byte(text)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i, p := range peers {
			var next [publishers]int
			for range publishers * each {
				m, ok := <-p.sights
				if !ok {
					t.Fatalf("member %d: %v", i, p.end)
				}
				var id, seq int
				if n, _ := fmt.Sscan(m.data, &id, &seq); n != 2 || seq != next[id] {
					t.Fatalf("member %d: %v, want number %d of %d", i, m, next[id], id)
				}
				next[id]++
			}
			if err := p.echo("nothing else"); err != nil {
				t.Errorf("member %d: %v", i, err)
			}
		}
		wg.Wait()
	})
}

// Large messages, and those that are longer together than what is sent as one.
func TestPublishLarge(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		s := c.server()
		s.Options.Queue.MaxBytes = 8 << 20
		f := openForum(t, s)
		peers, sockets := f.people(t, c, 4)
		for _, s := range sockets {
			mustSubscribe(t, s, "a", "b")
		}
		var sent []string
		for i := range 10 {
			size := []int{64 << 10, 10, 200_000, 20_000, 0, 65_535, 65_536, 4096}[i%8]
			text := pattern(byte(i), size)
			sent = append(sent, text)
			mustPublish(t, f.Server, []string{"a", "a", "b"}[i%3], text)
		}
		for i, p := range peers {
			for _, want := range sent {
				if err := p.expect(sawText(want)); err != nil {
					t.Fatalf("member %d: %v", i, err)
				}
			}
		}
	})
}

// What is published within one call of a handler comes in one piece to each subscriber, on one topic or several.
func TestPublishInOneWrite(t *testing.T) {
	if !ws.OnLoops() {
		t.Skip("the event loops do it")
	}
	for name, extension := range map[string]string{"plain": "", "compressed": noTakeover, "with takeover": takeover} {
		for _, topics := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d topics", name, topics), func(t *testing.T) {
				noLeaks(t)
				const messages = 40
				s := &ws.Server{Loops: 1, Inline: true, Options: ws.AcceptOptions{Compression: compression(extension)}}
				s.OnMessage = func(_ *ws.Socket, m ws.Message) {
					for i := range messages {
						mustPublish(t, s, fmt.Sprint(i%topics), fmt.Sprint(i, " ", strings.Repeat("x", 300)))
					}
				}
				f := openForum(t, s)
				publisher, _ := f.reads(t, "publisher", false)
				var lines []string
				if extension != "" {
					lines = []string{"Sec-WebSocket-Extensions: " + extension}
				}
				p, c := f.member(t, "subscriber", false, lines...)
				for i := range topics {
					mustSubscribe(t, c, fmt.Sprint(i))
				}
				publisher.send(textFrame("go"))
				piece, err := oneRead(p.Conn)
				if err != nil {
					t.Fatal(err)
				}
				p.r.Reset(strings.NewReader(piece))
				for i := range messages {
					got, err := p.next()
					if err != nil || got.data != fmt.Sprint(i, " ", strings.Repeat("x", 300)) {
						t.Fatalf("%v, %v in the first piece of %d bytes; want message %d", got, err, len(piece), i)
					}
				}
			})
		}
	}
}

// A burst is no reason to give up a subscriber that reads: neither a long one over several topics, which is queued until all of
// it is known, nor one that is longer as a whole than the queue may be.
func TestPublishBurst(t *testing.T) {
	for name, queue := range map[string]int{"of 500 KB": 64 << 10, "beyond a small queue": 8 << 10} {
		for _, policy := range []ws.Policy{ws.Close, ws.Drop, ws.Block} {
			for _, extension := range []string{"", noTakeover} {
				t.Run(fmt.Sprint(name, "/", policy, "/", extension), func(t *testing.T) {
					noLeaks(t)
					messages, size := 500, 1000
					if queue < 64<<10 {
						messages = 40
					}
					s := &ws.Server{Loops: oneLoop(), Inline: true}
					s.Options = ws.AcceptOptions{Queue: ws.Queue{MaxBytes: queue, Full: policy}, Compression: compression(extension)}
					random := randomText(size)
					s.OnMessage = func(_ *ws.Socket, m ws.Message) {
						for i := range messages {
							mustPublish(t, s, []string{"a", "b"}[i/3%2], fmt.Sprint(i, " ", random))
						}
					}
					f := openForum(t, s)
					publisher, _ := f.reads(t, "publisher", false)
					var lines []string
					if extension != "" {
						lines = []string{"Sec-WebSocket-Extensions: " + extension}
					}
					p, c := f.reads(t, "subscriber", false, lines...)
					mustSubscribe(t, c, "a", "b")
					publisher.send(textFrame("go"))
					for i := range messages {
						if err := p.expect(sawText(fmt.Sprint(i, " ", random))); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// Whoever subscribes in OnOpen misses nothing of what is published after the response, from whatever door it came.
func TestSubscribeInOpen(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		s := c.server()
		s.OnOpen = func(c *ws.Socket, r *http.Request) {
			mustSubscribe(t, c, "news")
			c.Send(ws.Text, []byte("subscribed"))
		}
		f := openForum(t, s)
		peers, _ := f.people(t, c, 6)
		for _, p := range peers {
			if err := p.expect(sawText("subscribed")); err != nil {
				t.Fatal(err)
			}
		}
		mustPublish(t, f.Server, "news", "it rains")
		for _, p := range peers {
			if err := p.expect(sawText("it rains")); err != nil {
				t.Error(err)
			}
		}
	})
}

// Whoever subscribes in OnMessage, and is published to by that very handler.
func TestSubscribeInMessage(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		s := c.server()
		s.OnMessage = func(c *ws.Socket, m ws.Message) {
			verb, topic, _ := strings.Cut(m.String(), " ")
			switch verb {
			case "sub":
				mustSubscribe(t, c, topic)
			case "unsub":
				c.Unsubscribe(topic)
			default:
				mustPublish(t, s, topic, m.String())
				clear(m.Data) // lent, and not to Publish
			}
		}
		f := openForum(t, s)
		peers, sockets := f.people(t, c, 3)
		for i, p := range peers {
			topic := fmt.Sprint("own", i)
			p.send(textFrame("sub "+topic), textFrame("pub "+topic))
			if err := p.expect(sawText("pub " + topic)); err != nil {
				t.Fatal(err)
			}
			p.send(textFrame("unsub "+topic), textFrame("pub "+topic), textFrame("sub last"), textFrame("pub last"))
			if err := p.expect(sawText("pub last")); err != nil {
				t.Fatal(err)
			}
			sockets[i].Unsubscribe("last")
		}
	})
}
