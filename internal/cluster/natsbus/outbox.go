package natsbus

import (
	"sync"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster"
)

// An outbox is what waits to be given to the connection, in order, so that nobody waits for one that is slow.
type outbox struct {
	max     int
	flushed sync.WaitGroup // done when all was given, after close

	mu      sync.Mutex
	changed sync.Cond
	waiting []outgoing
	bytes   int
	closed  bool
}

// outgoing is a message, or a subscription that is begun or ended.
type outgoing struct {
	subject string
	data    []byte
	of      *subject
	begin   bool
}

// outgoingBytes is what one counts besides its data.
const outgoingBytes = 100

// A subject is what is listened for.
type subject struct {
	name         string
	subscription *nats.Subscription // belongs to the goroutine of Bus.write
	listeners    []*listener        // guarded by Bus.mu; replaced, not changed
}

func (o *outbox) init(most int) {
	o.max = most
	o.changed.L = &o.mu
	o.flushed.Add(1)
}

func (o *outbox) publish(subject string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	size := len(data) + outgoingBytes
	switch {
	case o.closed:
		return cluster.ErrClosed
	case o.bytes+size > o.max:
		return cluster.ErrAway
	}
	o.bytes += size
	o.add(outgoing{subject: subject, data: append([]byte(nil), data...)})
	return nil
}

// change begins or ends a subscription, which always has room: there are no more than listeners.
func (o *outbox) change(s *subject, begin bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(outgoing{of: s, begin: begin})
}

func (o *outbox) add(m outgoing) {
	o.waiting = append(o.waiting, m)
	if len(o.waiting) == 1 {
		o.changed.Signal()
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Signal()
}

// take waits for what there is; nil: it is closed. What was taken before is given back for its room.
func (o *outbox) take(taken []outgoing) []outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) == 0 {
		if o.closed {
			return nil
		}
		o.changed.Wait()
	}
	if cap(taken) > maxTaken {
		taken = nil
	}
	all := o.waiting
	o.waiting = taken[:0]
	return all
}

// maxTaken is how much room is kept.
const maxTaken = 1 << 10

// given frees what a message has taken.
func (o *outbox) given(size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= size
}

// write gives the connection what waits. What it does not take is lost, which is for gaps to tell.
func (b *Bus) write() {
	defer b.works.Done()
	defer b.out.flushed.Done()
	var all []outgoing
	for {
		if all = b.out.take(all); all == nil {
			return
		}
		size := 0
		for i, m := range all {
			switch {
			case m.of == nil:
				_ = b.conn.Publish(m.subject, m.data)
				size += len(m.data) + outgoingBytes
			case m.begin:
				// It fails only on a connection that is closed.
				m.of.subscription, _ = b.conn.ChanSubscribe(m.of.name, b.in)
			case m.of.subscription != nil:
				_ = m.of.subscription.Unsubscribe()
			}
			all[i] = outgoing{}
		}
		b.out.given(size)
	}
}
