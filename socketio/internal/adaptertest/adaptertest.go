package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// Node is a server's part of a cluster.
type Node struct {
	Adapter func(*socketio.Namespace) socketio.Adapter
	// Settle returns when the other servers know which rooms there are here. nil: they need not.
	Settle func()
}

// Run runs the tests. node makes a part of the cluster of a test, which ends with it.
func Run(t *testing.T, node func(t testing.TB) Node) {
	c := &cluster{}
	for i := range c.nodes {
		c.nodes[i] = node(t)
		c.servers[i], c.urls[i] = Serve(t, c.nodes[i].Adapter)
		c.servers[i].Of("/other")
	}
	c.together(t)
	for i := range c.nodes {
		for j := range c.clients[i] {
			c.clients[i][j] = Dial(t, c.urls[i], "/")
		}
	}
	for _, test := range []struct {
		name string
		run  func(*cluster, *testing.T, int)
	}{
		{"Broadcast", (*cluster).broadcast},
		{"Volatile", (*cluster).volatile},
		{"Rooms", (*cluster).rooms},
		{"Socket", (*cluster).socket},
		{"JoinAndEmit", (*cluster).joinAndEmit},
		{"Acks", (*cluster).acks},
		{"FetchSockets", (*cluster).fetch},
		{"ServerSide", (*cluster).serverSide},
		{"Namespace", (*cluster).namespace},
		{"Disconnect", (*cluster).disconnect},
	} {
		if !t.Run(test.name, func(t *testing.T) {
			for from := range c.nodes {
				c.of(t)
				test.run(c, t, from)
			}
		}) {
			return // what was not received there would come here
		}
	}
}

func (c *cluster) broadcast(t *testing.T, from int) {
	s := c.servers[from]
	_ = s.Emit("text", 1.5, "é", nil, map[string]any{"a": []int{1}})
	_ = s.Emit("binary", []byte{1, 2}, map[string]any{"x": []byte("y")})
	_ = s.Local().Emit("local")
	_ = s.Except(c.clients[(from+1)%nodes][0].ID).Emit("except")
	c.all(func(i, j int, p *Client) {
		p.Expect(`2["text",1.5,"é",null,{"a":[1]}]`,
			`52-["binary",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`, "b:\x01\x02", "b:y")
		if i == from {
			p.Expect(`2["local"]`)
		}
		if i != (from+1)%nodes || j != 0 {
			p.Expect(`2["except"]`)
		}
	})
	c.end(t, from)
}

// A volatile event leaves out who is not ready at that moment, which nobody is for ever: each gets one, and all else between.
func (c *cluster) volatile(t *testing.T, from int) {
	s := c.servers[from]
	waiting := map[*Client]bool{}
	c.all(func(_, _ int, p *Client) { waiting[p] = true })
	for n := 0; len(waiting) > 0; n++ {
		if n == 1000 {
			t.Fatalf("%d have got none of %d volatile events", len(waiting), n)
		}
		_ = s.Volatile().Compress(false).Emit("volatile", n)
		_ = s.Emit("each", n)
		c.all(func(_, _ int, p *Client) {
			got := p.Receive()
			if got == fmt.Sprintf(`2["volatile",%d]`, n) {
				delete(waiting, p)
				got = p.Receive()
			}
			if want := fmt.Sprintf(`2["each",%d]`, n); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		})
	}
	c.end(t, from)
}

func (c *cluster) rooms(t *testing.T, from int) {
	s := c.servers[from]
	// Of each server the first is in red and in both, the second in blue and in both; that of the next server also in green.
	c.all(func(i, j int, p *Client) {
		c.join(p, []string{"red", "blue"}[j], "both")
		if i == (from+1)%nodes {
			c.join(p, "green")
		}
	})
	c.settle()
	_ = s.To("red").Emit("red")
	_ = s.To("both").Except("blue").Emit("not blue")
	_ = s.To("red", "blue", "both", "green").Emit("once")
	_ = s.To("green").Emit("green", []byte("g"))
	_ = s.To("nobody").Emit("nobody")
	_ = s.To("green", "nobody").Except("red").Emit("green blue")
	many := []string{"green"}
	for i := range 20 {
		many = append(many, fmt.Sprint("many", i))
	}
	_ = s.To(many...).Emit("many")
	_ = s.To("a room of any name: é \x00 . * > #", "red").Local().Emit("local")
	c.all(func(i, j int, p *Client) {
		if j == 0 {
			p.Expect(`2["red"]`, `2["not blue"]`)
		}
		p.Expect(`2["once"]`)
		if i == (from+1)%nodes {
			p.Expect(`51-["green",{"_placeholder":true,"num":0}]`, "b:g")
			if j == 1 {
				p.Expect(`2["green blue"]`)
			}
			p.Expect(`2["many"]`)
		}
		if i == from && j == 0 {
			p.Expect(`2["local"]`)
		}
	})
	const odd = "a room of any name: é \x00 . * > #"
	p := c.clients[(from+2)%nodes][1]
	c.join(p, odd)
	c.settle()
	_ = s.To(odd).Emit("odd")
	p.Expect(`2["odd"]`)
	c.end(t, from)
}

func (c *cluster) socket(t *testing.T, from int) {
	c.all(func(i, j int, p *Client) {
		_ = c.servers[from].To(p.ID).Emit("you", i, j)
		p.Expect(fmt.Sprintf(`2["you",%d,%d]`, i, j))
	})
	// A room may have the name of a socket's id, of another server even.
	a, b := c.clients[(from+1)%nodes][0], c.clients[(from+2)%nodes][0]
	c.join(b, a.ID)
	c.settle()
	_ = c.servers[from].To(a.ID).Emit("both")
	a.Expect(`2["both"]`)
	b.Expect(`2["both"]`)
	c.end(t, from)
}

// joinAndEmit: who is put into a room gets what the same server sends there next.
func (c *cluster) joinAndEmit(t *testing.T, from int) {
	s := c.servers[from]
	for round := range 10 {
		room := fmt.Sprintf("round %d of %d", round, from)
		p := c.clients[round%nodes][round%clients]
		s.In(p.ID).SocketsJoin(room, "kept")
		_ = s.To(room).Emit("in", round)
		s.In(room).SocketsLeave(room)
		_ = s.To(room).Emit("out", round)
		p.Expect(fmt.Sprintf(`2["in",%d]`, round))
	}
	_ = s.To("kept").Emit("kept")
	c.all(func(_, _ int, p *Client) { p.Expect(`2["kept"]`) })
	c.end(t, from)
}

func (c *cluster) acks(t *testing.T, from int) {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	s := c.servers[from]
	ask := func(o socketio.BroadcastOperator, want int, answer func()) []socketio.Args {
		t.Helper()
		var all []socketio.Args
		var err error
		var asking sync.WaitGroup
		asking.Go(func() { all, err = o.EmitWithAck(ctx, "q", 1) })
		answer()
		asking.Wait()
		if err != nil || len(all) != want {
			t.Errorf("%d answers, %v; want %d", len(all), err, want)
		}
		return all
	}
	everybody := func() {
		c.all(func(i, j int, p *Client) { p.Answer(`["q",1]`, fmt.Sprintf(`[%d]`, i*clients+j)) })
	}
	var got []int
	for _, a := range ask(s.To(), nodes*clients, everybody) {
		var n int
		if err := a.Bind(&n); err != nil {
			t.Error(err)
		}
		got = append(got, n)
	}
	if slices.Sort(got); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("answers %v", got)
	}
	p := c.clients[(from+1)%nodes][0]
	c.join(p, "asked")
	c.settle()
	ask(s.To("asked"), 1, func() { p.Answer(`["q",1]`, `["yes"]`) })
	ask(s.To("nobody"), 0, func() {})
	binary := ask(s.To(p.ID), 1, func() {
		id := p.Receive()
		p.Send("61-" + id[1:len(id)-len(`["q",1]`)] + `[{"_placeholder":true,"num":0}]`)
		p.SendBinary("\x00binary")
	})
	var b []byte
	if len(binary) == 1 {
		if err := binary[0].Bind(&b); err != nil || string(b) != "\x00binary" {
			t.Errorf("%q %v", b, err)
		}
	}
	c.end(t, from)
}

func (c *cluster) fetch(t *testing.T, from int) {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	s := c.servers[from]
	ids := func(o socketio.BroadcastOperator) []string {
		t.Helper()
		all, err := o.FetchSockets(ctx)
		if err != nil {
			t.Error(err)
		}
		var ids []string
		for _, r := range all {
			ids = append(ids, r.ID)
		}
		slices.Sort(ids)
		return ids
	}
	var want []string
	c.all(func(_, _ int, p *Client) { want = append(want, p.ID) })
	slices.Sort(want)
	if got := ids(s.To()); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	p := c.clients[(from+1)%nodes][1]
	c.join(p, "one", "two")
	c.servers[(from+1)%nodes].Socket(p.ID).SetData(map[string]any{"name": "bob", "n": 1})
	all, err := s.In("one").FetchSockets(ctx)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	data, _ := all[0].Data.(map[string]any)
	if !slices.Equal(all[0].Rooms, []string{p.ID, "one", "two"}) || data["name"] != "bob" || all[0].Handshake.Query["EIO"] != "4" {
		t.Errorf("%+v %+v", all[0], all[0].Handshake)
	}
	if got := ids(s.In("one").Except("two")); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := ids(s.Local()); len(got) != clients {
		t.Errorf("%v", got)
	}
	_ = all[0].Emit("you")
	p.Expect(`2["you"]`)
	all[0].Leave("one")
	Until(t, "it has left the room", func() bool { return len(ids(s.In("one"))) == 0 })
	c.end(t, from)
}

func (c *cluster) serverSide(t *testing.T, from int) {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	name := fmt.Sprint("hello of ", from)
	heard := make(chan string, nodes)
	for i, s := range c.servers {
		s.OnServerSide(name, func(a socketio.Args, _ func(any)) { heard <- fmt.Sprint(i, a.Args()) })
		s.OnServerSide(name+"?", func(a socketio.Args, answer func(any)) {
			answer(map[string]any{"server": i, "you": a.Value(0)})
			answer("once only")
		})
	}
	if err := c.servers[from].ServerSideEmit(name, "a", 1); err != nil {
		t.Error(err)
	}
	var got, want []string
	for i := range nodes {
		if i == from {
			continue
		}
		want = append(want, fmt.Sprint(i, ` ["a" 1]`))
		select {
		case h := <-heard:
			got = append(got, h[:1]+" "+h[1:])
		case <-ctx.Done():
			t.Fatal("not heard")
		}
	}
	slices.Sort(got)
	for i := range got {
		if len(got[i]) < 1 || got[i][:1] != want[i][:1] {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	values, err := c.servers[from].ServerSideEmitWithAck(ctx, name+"?", "x")
	if err != nil || len(values) != nodes-1 {
		t.Fatalf("%v %v", values, err)
	}
	var servers []int
	for _, v := range values {
		var a struct {
			Server int
			You    parser.Value
		}
		if err := v.Decode(&a); err != nil || a.You.String() != `"x"` {
			t.Errorf("%v %v", v, err)
		}
		servers = append(servers, a.Server)
	}
	if slices.Sort(servers); slices.Contains(servers, from) {
		t.Errorf("values of %v", servers)
	}
	c.end(t, from)
}

func (c *cluster) namespace(t *testing.T, from int) {
	var others [nodes]*Client
	for i := range others {
		others[i] = Dial(t, c.urls[i], "/other")
		c.servers[i].Of("/other").Socket(others[i].ID).Join("room")
	}
	c.settle()
	o := c.servers[from].Of("/other")
	_ = o.Emit("all")
	_ = o.To("room").Emit("room")
	for _, p := range others {
		p.Expect(`2/other,["all"]`, `2/other,["room"]`)
		p.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	Until(t, "they have gone", func() bool {
		all, err := o.FetchSockets(ctx)
		return err == nil && len(all) == 0
	})
	c.end(t, from)
}

func (c *cluster) disconnect(t *testing.T, from int) {
	to := (from + 1) % nodes
	extra, stays := Dial(t, c.urls[to], "/"), Dial(t, c.urls[to], "/")
	c.join(extra, "leaving")
	c.settle()
	c.servers[from].In("leaving").DisconnectSockets(false)
	extra.Expect("1")
	_ = c.servers[from].To(stays.ID).Emit("still")
	stays.Expect(`2["still"]`)
	stays.Close()
	extra.Close()
	Until(t, "they have gone", func() bool { return len(c.servers[to].Sockets()) == clients })
	c.end(t, from)
}
