package cluster_test

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
)

// What a message is begins at its second byte: see wire.go.
const wireBeat, wireBye = 1, 2

// rude is a bus on which, once, a beat leaves as late as it can.
type rude struct {
	cluster.Bus
	mu     sync.Mutex
	armed  bool
	caught chan struct{} // closed when there is a beat
	bye    chan struct{} // closed when the node has said goodbye
}

func (r *rude) Publish(subject string, data []byte) error {
	r.mu.Lock()
	caught := r.armed && data[1] == wireBeat
	if caught {
		r.armed = false
	}
	r.mu.Unlock()
	if caught {
		close(r.caught)
		select {
		case <-r.bye:
		case <-time.After(100 * time.Millisecond):
		}
	}
	err := r.Bus.Publish(subject, data)
	if data[1] == wireBye {
		close(r.bye)
	}
	return err
}

// Nothing is heard of a node that has said goodbye: it would be taken for one that lives, and called dead a while later.
func TestGoodbyeIsTheLast(t *testing.T) {
	w := new(membus.Network)
	observer := w.Bus()
	defer observer.Close()
	heard := make(chan byte, 1000)
	if _, err := observer.Listen("node.all", func(data []byte) { heard <- data[1] }); err != nil {
		t.Fatal(err)
	}
	r := &rude{Bus: w.Bus(), caught: make(chan struct{}), bye: make(chan struct{})}
	n, err := cluster.Join(r, cluster.Options{Heartbeat: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.armed = true
	r.mu.Unlock()
	<-r.caught
	if err := n.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = n.SetState([]byte("late"))
	if err := observer.Publish("node.all", []byte{0, 0}); err != nil { // it is behind all that the node has sent
		t.Fatal(err)
	}
	last := byte(0)
	for kind := range heard {
		if kind == 0 {
			break
		}
		last = kind
	}
	if last != wireBye {
		t.Errorf("the last that was heard is of type %d", last)
	}
}

// Two messages at once that tell a node of another with its id have it take one other id, and not two.
func TestRenamedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		bus := &listening{Bus: w.Bus()}
		n, err := cluster.Join(bus, cluster.Options{ID: "Samely"})
		if err != nil {
			t.Fatal(err)
		}
		other := w.Bus()
		defer other.Close()
		beat := append([]byte{1, wireBeat}, "Samely"...)
		beat = binary.BigEndian.AppendUint64(beat, 1)
		beat = append(beat, 0)
		beat = append(binary.BigEndian.AppendUint64(beat, uint64(time.Hour.Milliseconds())), "{}"...)
		again := func() {
			bus.before.Store(nil)
			if err := other.Publish("node.Samely", beat); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second) // until that has been taken
		}
		bus.before.Store(&again)
		if err := other.Publish("node.all", beat); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if n.ID() == "Samely" {
			t.Error("it has the id of an older one")
		}
		if err := n.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		_ = bus.Close()
		if left := bus.now.Load(); left != 0 {
			t.Errorf("it listens %d times", left)
		}
	})
}
