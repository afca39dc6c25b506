package clusteradapter_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
)

// wire joins adapters of this process: each hears the others, in order, on a goroutine of its own.
type wire struct {
	mu    sync.Mutex
	nodes []*node
}

type node struct {
	*clusteradapter.Adapter
	wire  *wire
	inbox chan []byte
	named bool // Servers knows who there is
	dead  bool
}

func (w *wire) join(t *testing.T, o clusteradapter.Options, named bool) (*socketio.Server, *node) {
	n := &node{wire: w, inbox: make(chan []byte, 10_000), named: named}
	server := socketio.NewServer(&socketio.Options{Adapter: func(nsp *socketio.Namespace) socketio.Adapter {
		n.Adapter = clusteradapter.New(nsp, n, o)
		return n
	}})
	var reading sync.WaitGroup
	reading.Go(func() {
		for data := range n.inbox {
			n.Receive(data)
		}
	})
	w.mu.Lock()
	w.nodes = append(w.nodes, n)
	w.mu.Unlock()
	n.Start()
	t.Cleanup(func() {
		_ = server.Close(context.Background())
		w.mu.Lock()
		w.nodes = slices.DeleteFunc(w.nodes, func(other *node) bool { return other == n })
		close(n.inbox)
		w.mu.Unlock()
		reading.Wait()
	})
	return server, n
}

func (n *node) Publish(m *clusteradapter.Message) error { return n.send(m, "") }

func (n *node) Respond(uid string, m *clusteradapter.Message) error { return n.send(m, uid) }

func (n *node) send(m *clusteradapter.Message, to string) error {
	data, err := m.Encode()
	if err != nil {
		return err
	}
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	for _, other := range n.wire.nodes {
		if !other.dead && (to == "" || other.UID() == to) {
			other.inbox <- data
		}
	}
	return nil
}

func (n *node) Servers(context.Context) (clusteradapter.Servers, error) {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	s := clusteradapter.Servers{Count: len(n.wire.nodes)}
	if n.named {
		s.Others = []string{}
		for _, other := range n.wire.nodes {
			if other != n {
				s.Others = append(s.Others, other.UID())
			}
		}
	}
	return s, nil
}

func TestServerSideEmit(t *testing.T) {
	w := &wire{}
	a, _ := w.join(t, clusteradapter.Options{}, false)
	b, _ := w.join(t, clusteradapter.Options{}, false)
	c, _ := w.join(t, clusteradapter.Options{}, false)
	for i, s := range []*socketio.Server{a, b, c} {
		s.OnServerSide("sum", func(args socketio.Args, answer func(any)) {
			var x, y int
			if err := args.Bind(&x, &y); err != nil {
				t.Error(err)
			}
			answer(x + y + i)
			answer("only one counts")
		})
	}
	values, err := a.ServerSideEmitWithAck(t.Context(), "sum", 20, 1)
	var got []int
	for _, v := range values {
		var n int
		if err := v.Decode(&n); err != nil {
			t.Error(err)
		}
		got = append(got, n)
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []int{22, 23}) {
		t.Errorf("%v, %v", got, err)
	}
}

// Who does not answer is named; who has gone is not waited for.
func TestMissing(t *testing.T) {
	w := &wire{}
	a, na := w.join(t, clusteradapter.Options{}, true)
	b, _ := w.join(t, clusteradapter.Options{}, true)
	_, nc := w.join(t, clusteradapter.Options{}, true)
	b.OnServerSide("q", func(_ socketio.Args, answer func(any)) { answer(1) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	values, err := a.ServerSideEmitWithAck(ctx, "q") // nobody handles it there
	missing, ok := errors.AsType[*socketio.ServersError](err)
	if !ok || len(values) > 1 || !slices.Contains(missing.Servers, nc.UID()) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d values, %v", len(values), err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.ServerSideEmitWithAck(context.Background(), "q")
		done <- err
	}()
	for gone := false; !gone; {
		na.Gone(nc.UID())
		select {
		case err := <-done:
			if gone = true; err != nil {
				t.Error(err)
			}
		case <-time.After(time.Millisecond):
		}
	}
}
