package ws_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
)

func prepared(t testing.TB, text string) *ws.PreparedMessage {
	t.Helper()
	m, err := ws.NewPreparedMessage(ws.Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What Multicast and Send are given by one goroutine leaves in that order, for each connection, and messages of one
// Multicast leave with nothing between them, though others send as well.
func TestMulticastOrder(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		const members, senders, each = 4, 3, 60
		s := c.server()
		s.Options.Queue.MaxBytes = 8 << 20
		f := openForum(t, s)
		peers, sockets := f.people(t, c, members)
		var group sync.WaitGroup
		for sender := range senders {
			group.Go(func() {
				for i := range each {
					switch rand.IntN(3) {
					case 0:
						for _, c := range sockets {
							c.Send(ws.Text, fmt.Appendf(nil, "%d %d a", sender, i))
						}
						s.Multicast(sockets, prepared(t, fmt.Sprintf("%d %d b", sender, i)))
					case 1:
						s.Multicast(sockets, prepared(t, fmt.Sprintf("%d %d a", sender, i)))
						for _, c := range sockets {
							c.SendPrepared(prepared(t, fmt.Sprintf("%d %d b", sender, i)))
						}
					case 2:
						s.Multicast(sockets, prepared(t, fmt.Sprintf("%d %d a", sender, i)), prepared(t, fmt.Sprintf("%d %d b", sender, i)))
					}
				}
			})
		}
		group.Wait()
		for _, p := range peers {
			var next [senders]int
			for range 2 * senders * each {
				got, ok := <-p.sights
				if !ok {
					t.Fatal(p.end)
				}
				var sender, i int
				var part string
				fmt.Sscan(got.data, &sender, &i, &part)
				if want := string("ab"[next[sender]%2]); i != next[sender]/2 || part != want {
					t.Fatalf("%q came after %d of sender %d", got.data, next[sender], sender)
				}
				next[sender]++
			}
		}
	})
}

// The messages of one Multicast come one after another.
func TestMulticastTogether(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		const senders, each = 4, 50
		s := c.server()
		s.Options.Queue.MaxBytes = 8 << 20
		f := openForum(t, s)
		peers, sockets := f.people(t, c, 3)
		var group sync.WaitGroup
		for sender := range senders {
			group.Go(func() {
				for range each {
					s.Multicast(sockets, prepared(t, fmt.Sprint(sender, "a")), prepared(t, fmt.Sprint(sender, "b")), prepared(t, fmt.Sprint(sender, "c")))
				}
			})
		}
		group.Wait()
		for _, p := range peers {
			for range senders * each {
				var whole strings.Builder
				for range 3 {
					got, ok := <-p.sights
					if !ok {
						t.Fatal(p.end)
					}
					whole.WriteString(got.data)
				}
				w := whole.String()
				if want := strings.ReplaceAll("0a0b0c", "0", w[:1]); w != want {
					t.Fatalf("%q came, want %q", w, want)
				}
			}
		}
	})
}

// Multicast to connections that are closing, or closed, is for the others only; and to nobody is nothing.
func TestMulticastToTheClosed(t *testing.T) {
	eachCrowd(t, func(t *testing.T, c crowd) {
		s := c.server()
		f := openForum(t, s)
		peers, sockets := f.people(t, c, 3)
		sockets[0].CloseNow()
		<-sockets[0].Done()
		s.Multicast(nil, prepared(t, "nobody"))
		s.Multicast(sockets)
		s.Multicast(sockets, prepared(t, "still there"))
		sockets[1].Close(ws.StatusNormalClosure, "")
		if err := peers[1].expect(sawText("still there")); err != nil {
			t.Error(err)
		}
		if err := peers[2].expect(sawText("still there")); err != nil {
			t.Error(err)
		}
	})
}
