package natsadapter_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/socketio"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// What is for a room crosses only to servers that have somebody in it, and to each of them once: rooms of ten members, who
// are on two of three servers each.
func TestOnlyToMembers(t *testing.T) {
	rooms := 1000
	if os.Getenv("BARO_PROOF") != "" {
		rooms = 100_000
	} else {
		t.Parallel()
	}
	const members = 10
	url := embedded.NATS(t, 1)[0].URL
	a, b, c := three(t, url, nil)
	servers := []*member{a, b, c}
	var sockets [3][members / 2]*adaptertest.Client
	for i, m := range servers {
		for j := range sockets[i] {
			sockets[i][j] = m.client(t)
		}
	}
	fill := func(i int, server *socketio.Server, sockets []*adaptertest.Client) {
		for room := range rooms { // of room 0 the members are at a and b, of room 1 at b and c
			if room%3 == i || (room+1)%3 == i {
				name := fmt.Sprint("room ", room)
				for _, p := range sockets {
					server.Socket(p.ID).Join(name)
				}
			}
		}
	}
	alone, url := adaptertest.Serve(t, nil)
	var few []*adaptertest.Client
	for range members / 2 {
		few = append(few, adaptertest.Dial(t, url, "/"))
	}
	before := heap()
	fill(0, alone, few)
	without := (heap() - before) / int64(2*rooms/3)
	before = heap()
	for i, m := range servers {
		fill(i, m.Server, sockets[i][:])
	}
	for _, m := range servers {
		m.flush(t)
	}
	t.Logf("%d rooms at each of three servers: %d bytes for each room with five members, and %d more for adapter, nats.go and broker",
		2*rooms/3, without, (heap()-before)/int64(2*rooms)-without)
	for i, m := range servers {
		if s := m.cluster.Stats(); s.Rooms < 2*rooms/3 || s.Rooms > 2*rooms/3+1 {
			t.Errorf("server %d hears of %d rooms", i, s.Rooms)
		}
	}
	done := make(chan struct{})
	for i := range sockets {
		for _, p := range sockets[i] {
			go func() {
				defer func() { done <- struct{}{} }()
				for room := range rooms {
					if room%3 != i && (room+1)%3 != i {
						continue
					}
					if got := p.Receive(); got != fmt.Sprintf(`2["e",%d]`, room) {
						t.Errorf("got %s, want room %d", got, room)
						return
					}
				}
			}()
		}
	}
	sent, bytes := a.cluster.Stats().Sent, a.cluster.Stats().SentBytes
	begin := time.Now()
	for room := range rooms {
		_ = a.To(fmt.Sprint("room ", room)).Emit("e", room)
		if room%1000 == 999 { // no faster than clients take it
			a.flush(t)
		}
	}
	for range 3 * members / 2 {
		<-done
	}
	took := time.Since(begin)
	var crossed uint64
	for i, m := range servers {
		s := m.cluster.Stats()
		want := uint64(0) // a's own events do not come back to it as events
		if i > 0 {
			for room := range rooms {
				if room%3 == i || (room+1)%3 == i {
					want++
				}
			}
		}
		if s.Events != want || s.Elsewhere != 0 || s.Duplicates != 0 || s.Ignored != 0 {
			t.Errorf("server %d: %+v, want %d events", i, s, want)
		}
		crossed += s.Events
	}
	s := a.cluster.Stats()
	t.Logf("%d events for a room each: %d messages sent, %d bytes; %d came to other servers, where %d would by sending to all; %v",
		rooms, s.Sent-sent, s.SentBytes-bytes, crossed, 2*rooms, took.Round(time.Millisecond))
}

func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A room that is left is heard of for a moment more, and who comes back finds it so; then not.
func TestLinger(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	o := quick()
	o.Linger = time.Hour
	slow := join(t, url, o)
	o = quick()
	o.Linger = 100 * time.Millisecond
	soon := join(t, url, o)
	o = quick()
	o.Linger = -1
	never := join(t, url, o)
	for _, m := range []*member{slow, soon, never} {
		p := m.client(t)
		before := m.conn.NumSubscriptions()
		socket := m.Socket(p.ID)
		for range 100 {
			socket.Join("room", "other")
			socket.Leave("room")
			socket.Leave("other")
		}
		m.flush(t)
		subscriptions := func() int { return m.conn.NumSubscriptions() - before }
		if m == slow && (subscriptions() != 2 || m.cluster.Stats().Rooms != 2) || m == never && subscriptions() != 0 {
			t.Errorf("%d subscriptions for no room", subscriptions())
		}
		if m != slow {
			adaptertest.Until(t, "nobody listens", func() bool { return subscriptions() == 0 && m.cluster.Stats().Rooms == 0 })
		}
		socket.Join("room")
		m.flush(t)
		_ = slow.To("room").Emit("in")
		p.Expect(`2["in"]`)
		socket.Leave("room")
		if n, rooms := subscriptions(), m.cluster.Stats().Rooms; n > 2 || rooms > 2 {
			t.Errorf("%d subscriptions, %d rooms", n, rooms)
		}
	}
}

// Joins and leaves by many at a time leave what is right behind.
func TestChurn(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	o := quick()
	o.Linger = time.Millisecond
	a, b := join(t, url, nil), join(t, url, o)
	a.sees(t, 2)
	const clients = 8
	var all [clients]*adaptertest.Client
	done := make(chan struct{})
	for i := range all {
		all[i] = b.client(t)
		socket := b.Socket(all[i].ID)
		go func() {
			defer func() { done <- struct{}{} }()
			for n := range 500 {
				room := fmt.Sprint("room ", (n*7+i)%5)
				socket.Join(room)
				socket.Leave(room)
			}
			socket.Join(fmt.Sprint("room ", i%5))
		}()
	}
	for range all {
		<-done
	}
	adaptertest.Until(t, "five rooms are left", func() bool { return b.cluster.Stats().Rooms == 5 })
	b.flush(t)
	for room := range 5 {
		_ = a.To(fmt.Sprint("room ", room)).Emit("e", room)
	}
	for i, p := range all {
		p.Expect(fmt.Sprintf(`2["e",%d]`, i%5))
	}
}

// The id of a socket is heard of by its server without a subscription for each; one that another has made by one of its own.
func TestSocketsWithoutSubscriptions(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	a, b := join(t, url, nil), join(t, url, quick())
	a.sees(t, 2)
	before := b.conn.NumSubscriptions()
	var all []*adaptertest.Client
	for range 20 {
		p := b.client(t)
		if p.ID[:6] != b.cluster.ID()[:6] || len(p.ID) != 20 {
			t.Errorf("%q does not begin as %q", p.ID, b.cluster.ID())
		}
		all = append(all, p)
	}
	b.flush(t)
	if n := b.conn.NumSubscriptions(); n != before {
		t.Errorf("%d subscriptions for 20 sockets", n-before)
	}
	var ids []string
	for i, p := range all {
		_ = a.To(p.ID).Emit("you", i)
		p.Expect(fmt.Sprintf(`2["you",%d]`, i))
		if ids = append(ids, p.ID); len(ids) == 5 {
			_ = a.To(ids...).Emit("five") // a message for each: one alone is taken
			ids = nil
			for _, p := range all[i-4 : i+1] {
				p.Expect(`2["five"]`)
			}
		}
	}
	if s := b.cluster.Stats(); s.Elsewhere != 0 || s.Duplicates != 16 {
		t.Errorf("%+v", s)
	}
}

// Two clusters share a broker.
func TestPrefix(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	a, b := join(t, url, &natsadapter.Options{Prefix: "one.of-them"}), join(t, url, &natsadapter.Options{Prefix: "one"})
	c := join(t, url, &natsadapter.Options{Prefix: "one"})
	b.sees(t, 2)
	pa, pb, pc := a.joined(t, "room"), b.joined(t, "room"), c.joined(t, "room")
	_ = c.To("room").Emit("of b and c")
	pb.Expect(`2["of b and c"]`)
	pc.Expect(`2["of b and c"]`)
	_ = a.To("room").Emit("of a")
	pa.Expect(`2["of a"]`)
	a.sees(t, 1)
	for _, prefix := range []string{"a b", ".a", "a.", "a..b", "*", ">", "a.*", "é"} {
		if _, err := natsadapter.New(a.conn, &natsadapter.Options{Prefix: prefix}); err == nil {
			t.Errorf("%q is taken", prefix)
		}
	}
}
