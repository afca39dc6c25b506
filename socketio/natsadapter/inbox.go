package natsadapter

import (
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxSenders bounds of how many senders something is noted: so many a stranger may make up.
const maxSenders = 10_000

// receive sorts what comes. It never waits, so that the connection does not.
func (c *Cluster) receive() {
	copies := map[string]uint64{} // of each sender the last message that came on several subjects
	for {
		select {
		case <-c.done:
			return
		case m := <-c.in:
			c.sort(m, copies)
		}
	}
}

func (c *Cluster) sort(m *nats.Msg, copies map[string]uint64) {
	c.count.received.Add(1)
	c.count.receivedBytes.Add(uint64(len(m.Data)))
	if strings.HasPrefix(m.Subject[len(c.set.Prefix):], ".bus.") {
		c.bus.take(m.Subject, m.Data)
		return
	}
	if len(m.Data) >= headLength && string(m.Data[2:headLength]) == c.id {
		return // what this server has sent itself
	}
	f, err := readFrame(m.Data)
	if err != nil {
		c.ignore("messages on the wire that are not understood", err)
		return
	}
	switch f.form {
	case copied:
		if copies[f.sender] == f.numbers[0] {
			c.count.duplicates.Add(1)
			return
		}
		if len(copies) >= maxSenders {
			clear(copies)
		}
		copies[f.sender] = f.numbers[0]
	case piece:
		if f.body, err = c.pieces.add(&f); err != nil {
			c.ignore("pieces of messages that do not fit", err)
		}
		if f.body == nil {
			return
		}
	}
	c.mu.Lock()
	a := c.adapters[c.subjects.namespaceOf(m.Subject)]
	c.mu.Unlock()
	switch {
	case a == nil:
	case c.queued.Load()+int64(len(f.body)) > int64(c.set.MaxPendingBytes):
		c.count.overrun.Add(1)
		c.log.warn("messages of other servers come faster than they are handled, and are lost", ErrFull)
	default:
		a.inbox.put(received{sender: f.sender, body: f.body})
	}
}

// received is a message of a namespace, or something that is done in its turn.
type received struct {
	sender string
	body   []byte
	then   func()
}

// receivedBytes is what one counts besides its bytes.
const receivedBytes = 128

// inbox is what has come for a namespace. It is handled in order, by a goroutine that is there while there is something.
type inbox struct {
	cluster *Cluster
	handle  func(received)

	mu      sync.Mutex
	waiting []received
	runs    bool
	closed  bool
}

// put reports false if the inbox is closed.
func (b *inbox) put(r received) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.cluster.queued.Add(int64(len(r.body)) + receivedBytes)
	b.waiting = append(b.waiting, r)
	if !b.runs {
		b.runs = true
		go b.run()
	}
	return true
}

func (b *inbox) run() {
	var batch []received
	for {
		b.mu.Lock()
		if len(b.waiting) == 0 {
			b.runs, b.waiting = false, nil
			b.mu.Unlock()
			return
		}
		batch, b.waiting = b.waiting, batch[:0]
		b.mu.Unlock()
		for i, r := range batch {
			if r.then != nil {
				r.then()
			} else {
				b.handle(r)
			}
			b.cluster.queued.Add(-int64(len(r.body)) - receivedBytes)
			batch[i] = received{}
		}
	}
}

// close drops what waits, but for what is only done in its turn.
func (b *inbox) close() {
	b.mu.Lock()
	waiting := b.waiting
	b.waiting, b.closed = nil, true
	b.mu.Unlock()
	for _, r := range waiting {
		if r.then != nil {
			r.then()
		}
		b.cluster.queued.Add(-int64(len(r.body)) - receivedBytes)
	}
}
