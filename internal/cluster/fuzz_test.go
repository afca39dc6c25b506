package cluster_test

import (
	"context"
	"sync"
	"testing"

	"baro.dev/internal/cluster"
)

// wire is a bus whose messages are those of the test.
type wire struct {
	mu      sync.Mutex
	listens map[string]func([]byte)
	sent    int
}

func (w *wire) Publish(string, []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent++
	return nil
}

func (w *wire) Listen(subject string, f func([]byte)) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listens[subject] = f
	return func() {}, nil
}

func (w *wire) come(subject string, data []byte) {
	w.mu.Lock()
	f := w.listens[subject]
	w.mu.Unlock()
	f(data)
}

func (*wire) OnGap(func())  {}
func (*wire) MaxBytes() int { return 1 << 20 }
func (*wire) Err() error    { return nil }
func (*wire) Close() error  { return nil }

// FuzzMessages has a node get anything: each message begins with its length, in two bytes.
func FuzzMessages(f *testing.F) {
	head := func(kind byte) string { return string([]byte{1, kind}) + "Peer01" + "12345678" }
	beat := head(1) + "\x01" + "\x00\x00\x00\x00\x00\x00\x10\x00" + `{"name":"a","version":"1","state":"e30="}`
	ask := head(4) + "\x00\x00\x00\x00\x00\x00\x00\x01" + "\x00\x00\x10\x00" + "\x04echo" + "data"
	key := "\x01" + "\x00\x00\x00\x00\x00\x00\x00\x01"
	opened := head(16) + key + "\x00\x01\x00\x00"
	data := head(18) + key + "\x00\x00\x00\x00\x00\x00\x00\x01" + "hello"
	audit := head(22) + key + "\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, messages := range [][]string{{beat}, {beat, ask, head(2)}, {beat, opened, data, audit}, {opened, data, head(20) + key + "\x00\x00\x00\x00\x00\x00\x00\x02"},
		{beat, head(3), head(5) + ask[16:], head(6) + "\x00\x00\x00\x00\x00\x00\x00\x01\x00x"}, {opened, head(19) + key + "\xff\xff\xff\xff\xff\xff\xff\xff", head(21) + key + "\x00"}} {
		var all []byte
		for _, m := range messages {
			all = append(append(all, byte(len(m)>>8), byte(len(m))), m...)
		}
		f.Add(all)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &wire{listens: make(map[string]func([]byte))}
		n, err := cluster.Join(w, cluster.Options{ID: "Myself", MaxPeers: 10, MaxStreams: 10})
		if err != nil {
			t.Fatal(err)
		}
		n.Handle("echo", func(_ context.Context, _ string, data []byte) ([]byte, error) { return data, nil })
		n.Listener()
		came, size := 0, len(data)
		for len(data) >= 2 {
			length := min(int(data[0])<<8|int(data[1]), len(data)-2)
			for _, subject := range []string{"node.all", "node." + n.ID(), "stream." + n.ID()} {
				w.come(subject, data[2:2+length])
				came++
			}
			data = data[2+length:]
		}
		if s := n.Stats(); s.Peers > 10 || s.Streams > 10 {
			t.Errorf("%+v", s)
		}
		if err := n.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		// Whoever sends one message makes the node send a few, and to each stream of an audit one.
		if w.mu.Lock(); w.sent > 20+4*came+size {
			t.Errorf("%d messages for %d", w.sent, came)
		}
		w.mu.Unlock()
	})
}
