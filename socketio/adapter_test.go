package socketio_test

import (
	"context"
	"sync"
	"testing"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// bus joins servers of this process, as an adapter for a cluster would.
type bus struct {
	mu    sync.Mutex
	nodes map[string][]*node
}

type node struct {
	*socketio.MemoryAdapter
	bus *bus
}

func (b *bus) adapter(n *socketio.Namespace) socketio.Adapter {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &node{socketio.NewMemoryAdapter(n), b}
	b.nodes[n.Name()] = append(b.nodes[n.Name()], a)
	return a
}

func (n *node) all() []*node {
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	return append([]*node(nil), n.bus.nodes[n.Namespace().Name()]...)
}

func (n *node) Broadcast(p *parser.Packet, o *socketio.BroadcastOptions) (err error) {
	if o.Flags.Local {
		return n.MemoryAdapter.Broadcast(p, o)
	}
	for _, other := range n.all() {
		err = other.MemoryAdapter.Broadcast(p, o)
	}
	return err
}

func (n *node) BroadcastWithAck(p *parser.Packet, o *socketio.BroadcastOptions, clients func(int), answer func(socketio.Args, error)) (func(), error) {
	total := 0
	var stops []func()
	for _, other := range n.all() {
		stop, err := other.MemoryAdapter.BroadcastWithAck(p, o, func(c int) { total += c }, answer)
		if err != nil {
			return nil, err
		}
		stops = append(stops, stop)
	}
	clients(total)
	return func() {
		for _, stop := range stops {
			stop()
		}
	}, nil
}

func (n *node) FetchSockets(ctx context.Context, o *socketio.BroadcastOptions) (all []*socketio.RemoteSocket, err error) {
	for _, other := range n.all() {
		part, _ := other.MemoryAdapter.FetchSockets(ctx, o)
		all = append(all, part...)
	}
	return all, nil
}

func (n *node) ServerSideEmit(_ context.Context, event parser.Data, acknowledged bool) (values []parser.Value, err error) {
	for _, other := range n.all() {
		if other == n {
			continue
		}
		var answer func(any)
		if acknowledged {
			answer = func(v any) {
				d := parser.Values(v)
				values = append(values, d.Value(0))
			}
		}
		other.Namespace().ServerSideEvent(event, answer)
	}
	return values, nil
}

func (n *node) ServerCount(context.Context) (int, error) { return len(n.all()), nil }

// An adapter of another package embeds the in-memory one.
func TestAdapter(t *testing.T) {
	b := &bus{nodes: map[string][]*node{}}
	var servers [2]*socketio.Server
	var peers [2]*peer
	var ids [2]string
	for i := range servers {
		io, url := start(t, &socketio.Options{Adapter: b.adapter})
		synced(io)
		servers[i], peers[i] = io, dial(t, url)
		ids[i] = peers[i].connect("0")
		peers[i].sync()
		io.OnServerSide("who", func(a socketio.Args, answer func(any)) { answer(a.Args()) })
	}
	ctx := context.Background()
	_ = servers[0].Emit("all")
	_ = servers[0].To(ids[1]).Emit("one")
	_ = servers[0].Local().Emit("local")
	peers[0].expect(`2["all"]`, `2["local"]`)
	peers[1].expect(`2["all"]`, `2["one"]`)
	if all, err := servers[1].FetchSockets(ctx); err != nil || len(all) != 2 {
		t.Error(all, err)
	}
	if n, _ := servers[0].Adapter().ServerCount(ctx); n != 2 {
		t.Error(n)
	}
	if v, err := servers[0].ServerSideEmitWithAck(ctx, "who", 1); err != nil || len(v) != 1 || v[0].String() != "[1]" {
		t.Error(v, err)
	}
	if err := servers[0].ServerSideEmit("who"); err != nil {
		t.Error(err)
	}
	answers := make(chan int, 1)
	go func() {
		a, _ := servers[1].EmitWithAck(ctx, "q")
		answers <- len(a)
	}()
	for _, p := range peers {
		m := p.recv() // 2<id>["q"]
		p.send("3" + m[1:len(m)-len(`["q"]`)] + "[]")
	}
	if n := got(t, answers); n != 2 {
		t.Errorf("%d answers", n)
	}
}
