package natsadapter

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// outbox is what waits to be given to the connection, in order: nobody who emits or joins has to wait for a broker that is slow.
// One goroutine, that of run, empties it.
type outbox struct {
	conn *nats.Conn
	in   chan *nats.Msg             // where subscriptions deliver
	max  int                        // bytes
	done func(bytes int, err error) // with a message, or a subscription that could not be begun or ended

	mu      sync.Mutex
	waiting []outgoing
	bytes   int
	closed  bool
	wake    chan struct{} // holds one
}

// outgoing is a message, or a subscription that is begun or ended.
type outgoing struct {
	subject      string
	data         []byte
	subscription *subscription
	end          bool
	call         func() // nothing but that is done
}

// subscription is one of NATS. Only the goroutine of the outbox touches it.
type subscription struct{ of *nats.Subscription }

// outgoingBytes is what one counts besides its bytes.
const outgoingBytes = 128

// publish takes messages, all or none of them, next to each other. It reports false if there is no room.
func (b *outbox) publish(all ...outgoing) bool {
	size := 0
	for i := range all {
		size += len(all[i].data) + outgoingBytes
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.bytes+size > b.max {
		return false
	}
	b.waiting = append(b.waiting, all...)
	b.bytes += size
	b.signal()
	return true
}

// subscribe begins a subscription, behind what is waiting. That is never refused: there are no more of them than rooms.
func (b *outbox) subscribe(s *subscription, subject string) {
	b.change(outgoing{subject: subject, subscription: s})
}

// unsubscribe ends it.
func (b *outbox) unsubscribe(s *subscription) { b.change(outgoing{subscription: s, end: true}) }

// then has f called when what is waiting has been done. It reports false if that will not be.
func (b *outbox) then(f func()) bool { return b.change(outgoing{call: f}) }

func (b *outbox) change(o outgoing) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.waiting = append(b.waiting, o)
	b.signal()
	return true
}

func (b *outbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run empties the box until it is closed and empty.
func (b *outbox) run() {
	var batch []outgoing
	for {
		b.mu.Lock()
		batch, b.waiting = b.waiting, batch[:0]
		size, closed := b.bytes, b.closed
		b.mu.Unlock()
		for i := range batch {
			b.do(&batch[i])
			batch[i] = outgoing{}
		}
		if cap(batch) > 4096 {
			batch = nil
		}
		b.mu.Lock()
		b.bytes -= size // of what was taken; what has come meanwhile is still counted
		more := len(b.waiting) > 0
		b.mu.Unlock()
		switch {
		case more:
		case closed:
			return
		default:
			<-b.wake
		}
	}
}

func (b *outbox) do(o *outgoing) {
	var err error
	switch s := o.subscription; {
	case o.call != nil:
		o.call()
	case s == nil:
		err = b.conn.Publish(o.subject, o.data)
	case o.end:
		if s.of != nil {
			err = s.of.Unsubscribe()
		}
	default:
		s.of, err = b.conn.ChanSubscribe(o.subject, b.in)
	}
	if err != nil || o.data != nil {
		b.done(len(o.data), err)
	}
}

// pending returns how many bytes wait.
func (b *outbox) pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// close has run return when all has been done.
func (b *outbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.signal()
}
