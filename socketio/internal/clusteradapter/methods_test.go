package clusteradapter_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
)

// pair is two servers with a client each.
func pair(t *testing.T, o clusteradapter.Options, named bool) (a, b *socketio.Server, na, nb *node, pa, pb *peer) {
	w := &wire{}
	a, na = w.join(t, o, named)
	b, nb = w.join(t, o, named)
	pa, pb = dial(t, a), dial(t, b)
	until(t, func() bool { return len(a.Sockets()) == 1 && len(b.Sockets()) == 1 })
	return a, b, na, nb, pa, pb
}

func TestBroadcast(t *testing.T) {
	a, b, _, nb, pa, pb := pair(t, clusteradapter.Options{}, false)
	b.In(pb.id).SocketsJoin("blue") // by the way of the other server, too
	a.In(pa.id).SocketsJoin("red")
	if err := a.Emit("all", 1.5, "é", nil, map[string]any{"a": []int{1}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{pa, pb} {
		p.expect(`42["all",1.5,"é",null,{"a":[1]}]`)
	}
	_ = a.Emit("bin", []byte{1, 2}, map[string]any{"x": []byte("y")})
	for _, p := range []*peer{pa, pb} {
		p.expect(`452-["bin",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`, "\x01\x02", "y")
	}
	_ = a.To("blue").Emit("to", 1)
	pb.expect(`42["to",1]`)
	_ = a.To("red", "blue").Except("blue").Emit("except")
	pa.expect(`42["except"]`)
	_ = a.Local().Emit("local")
	pa.expect(`42["local"]`)
	_ = a.Volatile().Compress(false).Emit("volatile")
	pa.expect(`42["volatile"]`)
	pb.expect(`42["volatile"]`)
	before := nb.Stats()
	_ = a.To("nobody").Emit("x", []byte{1})
	_ = a.To(pb.id).Emit("end")
	pb.expect(`42["end"]`)
	if s := nb.Stats(); s.Elsewhere != before.Elsewhere+1 || s.Ignored != 0 || s.Unsent != 0 {
		t.Errorf("%+v", s)
	}
}

func TestSocketsOfOthers(t *testing.T) {
	a, b, _, _, pa, pb := pair(t, clusteradapter.Options{}, false)
	b.Sockets()[0].SetData(map[string]any{"name": "bob", "key": []byte{7}})
	a.In(pb.id).SocketsJoin("r1", "r2")
	a.In("r1").SocketsLeave("r2")
	all, err := a.FetchSockets(t.Context())
	if err != nil || len(all) != 2 || all[0].ID != pa.id || all[1].ID != pb.id {
		t.Fatalf("%v, %v", all, err)
	}
	other := all[1]
	data, _ := other.Data.(map[string]any)
	key, _ := data["key"].([]byte)
	if !slices.Equal(other.Rooms, []string{pb.id, "r1"}) || data["name"] != "bob" || len(key) != 1 || other.Handshake.Query["EIO"] != "4" {
		t.Errorf("%+v %+v", other, other.Handshake)
	}
	if n, err := a.Adapter().ServerCount(t.Context()); n != 2 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}
	if err := other.Emit("to", "one"); err != nil {
		t.Error(err)
	}
	pb.expect(`42["to","one"]`)
	other.Disconnect(false)
	pb.expect("41")
}

func TestAcks(t *testing.T) {
	for name, o := range map[string]clusteradapter.Options{"counted": {}, "heartbeats": {HeartbeatTimeout: time.Minute}} {
		t.Run(name, func(t *testing.T) {
			a, _, na, nb, pa, pb := pair(t, o, false)
			until(t, func() bool { n, _ := na.ServerCount(t.Context()); return n == 2 })
			type result struct {
				answers []socketio.Args
				err     error
			}
			ask := func(timeout time.Duration) chan result {
				c := make(chan result, 1)
				go func() {
					answers, err := a.Timeout(timeout).EmitWithAck(context.Background(), "q", 1)
					c <- result{answers, err}
				}()
				return c
			}
			c := ask(patience)
			pa.expect(`420["q",1]`)
			pa.send(`430["a"]`)
			pb.expect(`420["q",1]`)
			pb.send(`430["b"]`)
			r := <-c
			var got []string
			for _, args := range r.answers {
				var s string
				_ = args.Bind(&s)
				got = append(got, s)
			}
			slices.Sort(got)
			if r.err != nil || !slices.Equal(got, []string{"a", "b"}) {
				t.Fatalf("%v, %v", got, r.err)
			}
			c = ask(200 * time.Millisecond)
			pa.expect(`421["q",1]`)
			pa.send(`431["a"]`)
			r = <-c
			var partial *socketio.PartialError
			if !errors.As(r.err, &partial) || partial.Missing != 1 || len(r.answers) > 1 {
				t.Fatalf("%d answers, %v", len(r.answers), r.err)
			}
			pb.expect(`421["q",1]`)
			if o.HeartbeatTimeout == 0 {
				return
			}
			// A server that goes without a word is not waited for.
			c = ask(patience)
			pa.expect(`422["q",1]`)
			pa.send(`432["a"]`)
			pb.expect(`422["q",1]`)
			na.Gone(nb.UID())
			until(t, func() bool { na.Gone(nb.UID()); return len(c) > 0 })
			if r = <-c; len(r.answers) != 1 {
				t.Errorf("%d answers, %v", len(r.answers), r.err)
			}
		})
	}
}

// Servers that say nothing any more are not waited for, nor those that say farewell.
func TestHeartbeats(t *testing.T) {
	w := &wire{}
	o := clusteradapter.Options{HeartbeatTimeout: 2 * time.Second}
	a, na := w.join(t, o, false)
	_, nb := w.join(t, o, false)
	_, nc := w.join(t, o, false)
	count := func(want int) {
		t.Helper()
		until(t, func() bool { n, _ := na.ServerCount(t.Context()); return n == want })
	}
	count(3)
	w.mu.Lock()
	nb.dead = true
	w.mu.Unlock()
	nb.Adapter.Close() // which says so
	count(2)
	w.mu.Lock()
	nc.dead = true // hears nothing, but is heard
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := a.FetchSockets(ctx)
	missing, ok := errors.AsType[*socketio.ServersError](err)
	if !ok || !slices.Equal(missing.Servers, []string{nc.UID()}) {
		t.Errorf("%v", err)
	}
}

func until(t testing.TB, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never became true")
		}
	}
}
