package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// three returns three clients: a is in r and s, b is in r, c in none.
func three(t *testing.T, o *socketio.Options) (io *socketio.Server, ids [3]string, get [3]*peer) {
	io, url := start(t, o)
	synced(io)
	for i := range get {
		get[i] = dial(t, url)
		ids[i] = get[i].connect("0")
		get[i].sync()
	}
	io.Socket(ids[0]).Join("r", "s", "r")
	io.Socket(ids[1]).Join("r")
	return io, ids, get
}

func TestBroadcast(t *testing.T) {
	io, ids, peers := three(t, nil)
	a := io.Socket(ids[0])
	tests := []struct {
		name string
		to   interface {
			Emit(string, ...any) error
		}
		want string // who gets it
	}{
		{"all", io, "abc"},
		{"room", io.To("r"), "ab"},
		{"rooms", io.To("r", "s"), "ab"},
		{"rooms, one by one", io.In("s").In("r").To("nobody"), "ab"},
		{"empty room", io.To("nobody"), ""},
		{"except", io.Except("s"), "bc"},
		{"room except room", io.To("r").Except("s"), "b"},
		{"room except id", io.To("r").Except(ids[1]), "a"},
		{"id", io.To(ids[2]), "c"},
		{"id and room", io.To(ids[0], "r", ids[0], ids[2]), "abc"},
		{"local", io.Local(), "abc"},
		{"volatile", io.Volatile(), "abc"},
		{"uncompressed", io.Compress(false), "abc"},
		{"from a socket", a.Broadcast(), "bc"},
		{"from a socket to a room", a.To("r"), "b"},
		{"from a socket to itself", a.To(ids[0]), ""},
		{"from a socket except", a.Except("r"), "c"},
		{"from a socket, with flags", a.Volatile().Compress(false).Local().To("s", ids[2]), "c"},
		{"to one", a, "a"},
		{"to one, volatile", a.Volatile(), "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, s := range io.Sockets() { // or else what is volatile is lost
				eventually(t, "it is writable", s.Conn().Writable)
			}
			if err := test.to.Emit("e", []byte{1}); err != nil {
				t.Fatal(err)
			}
			_ = io.Emit("end")
			for i, p := range peers {
				if strings.Contains(test.want, string(rune('a'+i))) {
					p.expect(`51-["e",{"_placeholder":true,"num":0}]`, "b:\x01")
				}
				p.expect(`2["end"]`)
			}
		})
	}
	if err := io.Emit("e", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
	if err := io.Emit("connect"); !errors.Is(err, parser.ErrProtocol) {
		t.Errorf("a reserved name: %v", err)
	}
}

func TestOperatorsDoNotChange(t *testing.T) {
	io, _, peers := three(t, nil)
	base := io.To("s")
	_, _ = base.To("r"), base.Except("s")
	both := base.To("r")
	_ = base.To("other")
	_ = both.Emit("both")
	_ = base.Emit("base")
	peers[0].expect(`2["both"]`, `2["base"]`)
	peers[1].expect(`2["both"]`)
}

func TestSocketsJoinLeaveFetchDisconnect(t *testing.T) {
	io, ids, peers := three(t, nil)
	ctx := context.Background()
	var events []socketio.RoomEvent
	io.Adapter().(*socketio.MemoryAdapter).OnRoom(func(e socketio.RoomEvent) { events = append(events, e) })
	io.In("r").SocketsJoin("x", "y")
	io.In("s").SocketsLeave("x")
	io.Socket(ids[0]).Leave("y")
	io.Socket(ids[1]).Leave("y", "never in")
	want := []socketio.RoomEvent{
		{socketio.CreateRoom, "x", ""}, {socketio.JoinRoom, "x", ids[0]}, {socketio.CreateRoom, "y", ""}, {socketio.JoinRoom, "y", ids[0]},
		{socketio.JoinRoom, "x", ids[1]}, {socketio.JoinRoom, "y", ids[1]}, {socketio.LeaveRoom, "x", ids[0]},
		{socketio.LeaveRoom, "y", ids[0]}, {socketio.LeaveRoom, "y", ids[1]}, {socketio.DeleteRoom, "y", ""},
	}
	if !slices.Equal(events, want) {
		t.Errorf("events %v\nwant   %v", events, want)
	}
	io.Socket(ids[1]).SetData(map[string]int{"n": 1})
	all, err := io.In("r").FetchSockets(ctx)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if r := all[1]; r.ID != ids[1] || !slices.Equal(r.Rooms, []string{ids[1], "r", "x"}) || r.Data.(map[string]int)["n"] != 1 || r.Handshake.Query["EIO"] != "4" {
		t.Errorf("%+v", r)
	}
	// "[{}]" is what the official server tells of the data of a socket that has got none.
	if told, err := json.Marshal(io.Socket(ids[0]).Describe()); err != nil || all[0].Data != nil || !strings.HasSuffix(string(told), `,"data":{}}`) {
		t.Errorf("%v %s %v", all[0].Data, told, err)
	}
	all[1].Join("z")
	_ = all[1].Emit("hello")
	peers[1].expect(`2["hello"]`)
	if got := io.Adapter().Sockets([]string{"z"}); !slices.Equal(got, []string{ids[1]}) {
		t.Errorf("in z: %v", got)
	}
	all[1].Leave("z")
	all[1].Disconnect(false)
	peers[1].expect("1")
	io.In("s").DisconnectSockets(true)
	peers[0].expect("1")
	peers[0].ended()
	if n := len(io.Sockets()); n != 1 {
		t.Errorf("%d sockets left", n)
	}
	rooms := io.Adapter().(*socketio.MemoryAdapter).Rooms()
	if len(rooms) != 0 {
		t.Errorf("rooms left: %v", rooms)
	}
	if n, err := io.Adapter().ServerCount(ctx); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// A server that is alone has nobody to emit to, itself included: that is no error, and there is no answer to wait for.
func TestServerSideEmitAlone(t *testing.T) {
	io, _ := start(t, nil)
	io.OnServerSide("e", func(socketio.Args, func(any)) { t.Error("it hears itself") })
	if v, err := io.ServerSideEmitWithAck(t.Context(), "e", 1); len(v) != 0 || err != nil {
		t.Error(v, err)
	}
	if err := io.ServerSideEmit("e", 1); err != nil {
		t.Error(err)
	}
	for _, reserved := range []string{"connect", "connection", "new_namespace"} {
		if err := io.ServerSideEmit(reserved); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Error(reserved, err)
		}
		if _, err := io.ServerSideEmitWithAck(t.Context(), reserved); err == nil {
			t.Error(reserved, "is let through")
		}
	}
}

func TestBroadcastWithAck(t *testing.T) {
	io, ids, peers := three(t, nil)
	type result struct {
		answers []socketio.Args
		err     error
	}
	ask := func(o socketio.BroadcastOperator) <-chan result {
		c := make(chan result, 1)
		go func() {
			a, err := o.EmitWithAck(context.Background(), "q")
			c <- result{a, err}
		}()
		return c
	}
	c := ask(io.To("r"))
	for _, p := range peers[:2] {
		id := strings.TrimSuffix(strings.TrimPrefix(p.recv(), "2"), `["q"]`)
		p.send("3" + id + `["yes"]`)
	}
	if r := got(t, c); r.err != nil || len(r.answers) != 2 || r.answers[1].Value(0).String() != `"yes"` {
		t.Errorf("%v", r)
	}
	if r := got(t, ask(io.To("nobody"))); r.err != nil || len(r.answers) != 0 {
		t.Errorf("%v", r)
	}
	c = ask(io.To("r").Timeout(3 * time.Second)) // for a to answer; b does not
	p := peers[0]
	p.send("3" + strings.TrimSuffix(strings.TrimPrefix(p.recv(), "2"), `["q"]`) + `["yes"]`)
	peers[1].recv()
	r := got(t, c)
	var partial *socketio.PartialError
	if len(r.answers) != 1 || !errors.As(r.err, &partial) || partial.Missing != 1 || !errors.Is(r.err, context.DeadlineExceeded) {
		t.Errorf("%v", r)
	}
	// Who is gone is not waited for.
	c = ask(io.To("r"))
	p.send("3" + strings.TrimSuffix(strings.TrimPrefix(p.recv(), "2"), `["q"]`) + `["yes"]`)
	peers[1].recv()
	peers[1].close()
	if r := got(t, c); len(r.answers) != 1 || !errors.Is(r.err, socketio.ErrDisconnected) {
		t.Errorf("%v", r)
	}
	remote, _ := io.To(ids[0]).FetchSockets(context.Background())
	answer := make(chan string, 1)
	go func() {
		a, err := remote[0].EmitWithAck(context.Background(), "q")
		answer <- fmt.Sprint(a.Value(0), err)
	}()
	p.send("3" + strings.TrimSuffix(strings.TrimPrefix(p.recv(), "2"), `["q"]`) + `[5]`)
	if a := got(t, answer); a != "5 <nil>" {
		t.Error(a)
	}
}

func TestOnAnyOutgoing(t *testing.T) {
	io, ids, peers := three(t, nil)
	var seen []string
	a := io.Socket(ids[0])
	remove := a.OnAnyOutgoing(func(e *socketio.Event) { seen = append(seen, fmt.Sprint(e.Name(), e.Args())) })
	_ = a.Emit("one", 1)
	_ = io.Emit("two", 2)
	remove()
	_ = io.Emit("three")
	a.OnAnyOutgoing(func(*socketio.Event) { t.Error("called") })
	a.OffAnyOutgoing()
	_ = io.Emit("four")
	peers[0].expect(`2["one",1]`, `2["two",2]`, `2["three"]`, `2["four"]`)
	if want := []string{"one[1]", "two[2]"}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}

// Handlers of sockets that have gone do not slow down the others.
func TestOnAnyOutgoingOfTheGone(t *testing.T) {
	io, url := start(t, nil)
	sockets := make(chan *socketio.Socket, 1)
	io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	p := join(t, url, "0")
	s := got(t, sockets)
	remove := s.OnAnyOutgoing(func(*socketio.Event) {})
	if n := socketio.Outgoing(io); n != 1 {
		t.Error(n)
	}
	p.close()
	eventually(t, "the socket is gone", func() bool { return io.Len() == 0 && socketio.Outgoing(io) == 0 })
	remove()
	s.OnAnyOutgoing(func(*socketio.Event) {})
	if n := socketio.Outgoing(io); n != 0 {
		t.Error(n)
	}
}

// Joins and leaves in any order, against a model.
func TestRoomsModel(t *testing.T) {
	io, url := start(t, nil)
	const sockets, rooms, steps = 5, 60, 20000
	var all []*socketio.Socket
	for range sockets {
		all = append(all, io.Socket(dial(t, url).connect("0")))
	}
	type in struct{ s, r int }
	model := map[in]bool{}
	for step := range steps {
		i := in{rand.IntN(sockets), rand.IntN(rooms)}
		name := fmt.Sprint(i.r)
		if rand.IntN(2) == 0 {
			all[i.s].Join(name)
			model[i] = true
		} else {
			all[i.s].Leave(name)
			delete(model, i)
		}
		if step%500 != 0 {
			continue
		}
		for s := range all {
			want := []string{all[s].ID()}
			for r := range rooms {
				if model[in{s, r}] {
					want = append(want, fmt.Sprint(r))
				}
			}
			slices.Sort(want[1:])
			if got := all[s].Rooms(); !slices.Equal(got, want) {
				t.Fatalf("step %d: %v, want %v", step, got, want)
			}
		}
		for r := range rooms {
			n := 0
			for s := range all {
				if model[in{s, r}] {
					n++
				}
			}
			if got := io.Adapter().Sockets([]string{fmt.Sprint(r)}); len(got) != n {
				t.Fatalf("step %d: %d in %d, want %d", step, len(got), r, n)
			}
		}
	}
	io.DisconnectSockets(true)
	if left := io.Adapter().(*socketio.MemoryAdapter).Rooms(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
