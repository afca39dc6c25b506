package cluster

import (
	"encoding/json"
	"sync"
	"time"
)

func (n *Node) describe(state []byte) error {
	if len(state) > maxState {
		return ErrName
	}
	text, err := json.Marshal(description{n.o.Name, n.o.Version, state})
	if err != nil {
		return err
	}
	n.beat.Store(&text)
	return nil
}

// announce sends a beat.
func (n *Node) announce(subject string, flags byte) error {
	n.announcing.Lock()
	defer n.announcing.Unlock()
	if n.silent {
		return ErrClosed
	}
	text := *n.beat.Load()
	age := uint64(time.Since(n.joined).Milliseconds())
	return n.send(subject, typeBeat, appendBeat(make([]byte, 0, beatBytes+len(text)), flags, age, text))
}

// farewell says goodbye, behind the last beat of an identity: who is heard of after that would be taken for alive, and called dead.
func (n *Node) farewell(self *identity, silent bool) error {
	n.announcing.Lock()
	defer n.announcing.Unlock()
	n.silent = n.silent || silent // who leaves while it takes another id stays silent
	return n.sendAs(self, subjectAll, typeBye)
}

// send publishes a message of this node.
func (n *Node) send(subject string, kind messageType, body ...[]byte) error {
	return n.sendAs(n.self.Load(), subject, kind, body...)
}

func (n *Node) sendAs(self *identity, subject string, kind messageType, body ...[]byte) error {
	buffer := messages.Get().(*[]byte)
	b := appendHeader((*buffer)[:0], header{kind, self.id, self.born})
	for _, part := range body {
		b = append(b, part...)
	}
	err := n.publish(subject, b)
	if cap(b) <= maxKept {
		*buffer = b
		messages.Put(buffer)
	}
	return err
}

// messages are buffers of what is sent: the bus copies it.
var messages = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is how large a buffer is kept.
const maxKept = 64 << 10

func (n *Node) publish(subject string, message []byte) error {
	err := n.bus.Publish(subject, message)
	if err != nil {
		n.count.unsent.Add(1)
		return err
	}
	n.count.sent.Add(1)
	n.count.sentBytes.Add(uint64(len(message)))
	return nil
}
