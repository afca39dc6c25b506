package natsadapter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/socketio"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// A server that has gone is not waited for, and one that is slow to answer is named.
func TestServerDies(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	a, b, c := three(t, url, quick())
	_, pb, pc := a.client(t), b.client(t), c.client(t)
	ids := []string{b.cluster.ID(), c.cluster.ID()}
	slices.Sort(ids)
	if p := a.cluster.Peers(); len(p) != 2 || p[0].ID != ids[0] || p[1].ID != ids[1] {
		t.Errorf("peers %+v, want %v", p, ids)
	}

	// c gets the event, and dies before its client answers: who waits is told who has gone.
	answers := make(chan error, 1)
	go func() {
		_, err := a.In(pb.ID, pc.ID).EmitWithAck(t.Context(), "q")
		answers <- err
	}()
	pb.Answer(`["q"]`, `[]`)
	pc.Receive()
	c.conn.Close()
	begin := time.Now()
	all, err := a.FetchSockets(t.Context())
	if err != nil || len(all) != 2 || time.Since(begin) > 30*time.Second {
		t.Errorf("%d sockets, %v, after %v", len(all), err, time.Since(begin))
	}
	err = <-answers
	var partial *socketio.PartialError
	var servers *socketio.ServersError
	if !errors.As(err, &partial) || partial.Answered != 1 || partial.Missing != 1 || !errors.As(err, &servers) ||
		!slices.Equal(servers.Servers, []string{c.cluster.ID()}) {
		t.Errorf("%v, want one who is missing, of %s", err, c.cluster.ID())
	}
	a.sees(t, 2)

	// b lives, and its handler does not answer: it is named.
	b.OnServerSide("never", func(socketio.Args, func(any)) {})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = a.ServerSideEmitWithAck(ctx, "never")
	if !errors.As(err, &servers) || !slices.Equal(servers.Servers, []string{b.cluster.ID()}) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %s named", err, b.cluster.ID())
	}

	// One that says goodbye is forgotten at once.
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.cluster.Close(t.Context()); err != nil {
		t.Error(err)
	}
	a.sees(t, 1)
	if err := c.cluster.Err(); !errors.Is(err, natsadapter.ErrClosed) {
		t.Error(err)
	}
}

// A server that stands still is called dead, its requests and those of others end, and when it goes on all is as before.
func TestServerStandsStill(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	way := newProxy(t, url)
	a, c := join(t, url, quick()), join(t, way.url(), quick())
	a.sees(t, 2)
	c.sees(t, 2)
	pa, pc := a.joined(t, "room"), c.joined(t, "room")
	way.stand(true)
	begin := time.Now()
	all, err := a.FetchSockets(t.Context()) // which has no bound but the minute of RequestTimeout
	if len(all) != 1 || err != nil || time.Since(begin) > 30*time.Second {
		t.Errorf("%d sockets, %v, after %v", len(all), err, time.Since(begin))
	}
	_ = a.To("room").Emit("while it stands still")
	pa.Expect(`2["while it stands still"]`)
	way.stand(false)
	a.sees(t, 2)
	c.sees(t, 2)
	c.flush(t)
	_ = a.To("room").Emit("back")
	pa.Expect(`2["back"]`)
	if got := pc.Receive(); got == `2["while it stands still"]` { // it waited in the way
		pc.Expect(`2["back"]`)
	} else if got != `2["back"]` {
		t.Errorf("got %q", got)
	}
	_ = c.To("room").Emit("from there")
	pa.Expect(`2["from there"]`)
	pc.Expect(`2["from there"]`)
}

// While the broker is away each server goes on with its own sockets; when it is back who is there and in which rooms is right.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	broker := embedded.NATS(t, 1)[0]
	a, b, c := three(t, broker.URL, quick())
	pa, pb := a.joined(t, "before"), b.joined(t, "before")
	broker.Stop()
	for _, m := range []*member{a, b, c} {
		adaptertest.Until(t, "the broker is away", func() bool { return errors.Is(m.cluster.Err(), natsadapter.ErrAway) })
	}
	pc := c.client(t)
	c.Socket(pc.ID).Join("meanwhile")
	_ = c.To("meanwhile").Emit("local")
	pc.Expect(`2["local"]`)
	_ = a.Volatile().To("before").Emit("volatile")
	pa.Expect(`2["volatile"]`)
	all, err := a.FetchSockets(t.Context())
	var servers *socketio.ServersError
	if len(all) != 1 || !errors.As(err, &servers) || len(servers.Servers) != 2 || !errors.Is(err, natsadapter.ErrAway) {
		t.Errorf("%d sockets, %v", len(all), err)
	}
	if n, err := a.Adapter().ServerCount(t.Context()); n != 3 || !errors.Is(err, natsadapter.ErrAway) {
		t.Error(n, err)
	}
	if err := a.cluster.Flush(t.Context()); !errors.Is(err, natsadapter.ErrAway) {
		t.Error(err)
	}
	broker.Restart()
	for _, m := range []*member{a, b, c} {
		m.sees(t, 3)
	}
	for _, m := range []*member{a, b, c} {
		m.flush(t)
	}
	_ = a.To("meanwhile").Emit("joined meanwhile")
	pc.Expect(`2["joined meanwhile"]`)
	_ = c.To("before").Emit("joined before")
	pa.Expect(`2["joined before"]`)
	pb.Expect(`2["joined before"]`)
	if all, err := b.FetchSockets(t.Context()); len(all) != 3 || err != nil {
		t.Errorf("%d sockets, %v", len(all), err)
	}
	if s := a.cluster.Stats(); s.Away != 1 || s.Servers != 3 {
		t.Errorf("%+v", s)
	}
}

// A broker that takes nothing more holds nobody up: what waits for it is bounded, and the rest is counted.
func TestBrokerStandsStill(t *testing.T) {
	t.Parallel()
	broker := brokers.NATS(t)
	o := quick()
	o.MaxPendingBytes = 1 << 20
	url := "nats://" + broker.Addr
	a, b := join(t, url, o), join(t, url, o)
	a.sees(t, 2)
	pa, pb := a.joined(t, "room"), b.joined(t, "room")
	broker.Pause()
	data := strings.Repeat("x", 10_000)
	const events = 2000 // 20 MB, more than the bound and what the system takes for the connection
	for i := range events {
		_ = a.To("room").Emit("e", i, data)
		pa.Expect(fmt.Sprintf(`2["e",%d,"%s"]`, i, data))
		if i%100 == 0 {
			a.Socket(pa.ID).Join(fmt.Sprint("more", i))
		}
	}
	s := a.cluster.Stats()
	if s.PendingSend > o.MaxPendingBytes+100 || s.Unsent == 0 {
		t.Errorf("%+v", s)
	}
	adaptertest.Until(t, "it is noticed", func() bool { return errors.Is(a.cluster.Err(), natsadapter.ErrAway) })
	if _, err := a.FetchSockets(t.Context()); !errors.Is(err, natsadapter.ErrAway) {
		t.Error(err)
	}
	broker.Continue()
	a.sees(t, 2)
	b.sees(t, 2)
	a.flush(t)
	_ = b.To("more100").Emit("heard")
	pa.Expect(`2["heard"]`)
	for before := -1; ; { // what has come is in order
		var at int
		got := pb.Receive()
		if n, _ := fmt.Sscanf(got, `2["e",%d,`, &at); n != 1 || at <= before {
			t.Fatalf("%.40q after %d", got, before)
		}
		if before = at; at > 0 {
			break
		}
	}
}

// One of three brokers ends: who was connected there goes to another.
func TestBrokerOfSeveralEnds(t *testing.T) {
	t.Parallel()
	servers := embedded.NATS(t, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	var all [3]*member
	for i := range all {
		m := &member{conn: dial(t, strings.Join(slices.Concat(urls[i:], urls[:i]), ","), nats.DontRandomize())}
		m.cluster = cluster(t, m.conn, quick())
		m.Server, m.url = adaptertest.Serve(t, m.cluster.Adapter)
		all[i] = m
	}
	for _, m := range all {
		m.sees(t, 3)
	}
	p0, p2 := all[0].joined(t, "room"), all[2].joined(t, "room")
	servers[0].Stop()
	adaptertest.Until(t, "it is connected again", func() bool {
		return all[0].cluster.Stats().Away == 1 && all[0].cluster.Err() == nil
	})
	for _, m := range all {
		m.sees(t, 3)
		m.flush(t)
	}
	_ = all[1].To("room").Emit("again")
	p0.Expect(`2["again"]`)
	p2.Expect(`2["again"]`)
}

// A server that is cut off, and its broker not: for the others it is dead, and it knows that it is cut off.
func TestPartition(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	way := newProxy(t, url)
	a, c := join(t, url, quick()), join(t, way.url(), quick())
	a.sees(t, 2)
	c.sees(t, 2)
	pc := c.joined(t, "room")
	way.sever(true)
	a.sees(t, 1)
	adaptertest.Until(t, "it knows", func() bool { return errors.Is(c.cluster.Err(), natsadapter.ErrAway) })
	_ = c.To("room").Emit("own")
	pc.Expect(`2["own"]`)
	way.sever(false)
	a.sees(t, 2)
	c.sees(t, 2)
	c.flush(t)
	_ = a.To("room").Emit("again")
	pc.Expect(`2["again"]`)
}
