package natsadapter

import (
	"sync"
	"time"
)

// maxLingering is how many subscriptions are kept that nobody needs any more.
const maxLingering = 65_536

// interest is which names a node hears of in a namespace: those somebody here has joined, or waits to come back to, and the
// sockets here whose ids other nodes have made.
type interest struct {
	out       *outbox
	namespace string // its subject
	linger    time.Duration

	mu        sync.Mutex
	names     map[key]*wanted
	lingering []lingering // as they will end
	closed    bool
}

type wanted struct {
	subscription
	count      int // who wants it; below 0 for a moment, if it is told of the end before the beginning
	subscribed bool
	released   uint32 // how often it was not wanted any more
}

type lingering struct {
	key      key
	released uint32
	until    time.Time
}

// count counts one more who wants to hear of a name, or one less. When nobody is left the name is still heard of for a while,
// since who leaves often comes back.
func (n *interest) count(name string, more bool) {
	k := keyOf(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	w := n.names[k]
	if w == nil {
		w = new(wanted)
		n.names[k] = w
	}
	if w.count++; !more {
		w.count -= 2
	}
	switch {
	case w.count > 0 && !w.subscribed:
		w.subscribed = true
		n.out.subscribe(&w.subscription, roomSubject(n.namespace, name))
	case w.count == 0 && !w.subscribed:
		delete(n.names, k)
	case w.count == 0:
		n.release(k, w)
	}
}

func (n *interest) release(k key, w *wanted) {
	if n.linger <= 0 {
		n.end(k, w)
		return
	}
	w.released++
	n.lingering = append(n.lingering, lingering{k, w.released, time.Now().Add(n.linger)})
	if len(n.lingering) > maxLingering {
		n.endFirst(len(n.lingering) - maxLingering)
	}
}

func (n *interest) end(k key, w *wanted) {
	delete(n.names, k)
	n.out.unsubscribe(&w.subscription)
}

func (n *interest) endFirst(count int) {
	for _, l := range n.lingering[:count] {
		if w := n.names[l.key]; w != nil && w.count == 0 && w.released == l.released {
			n.end(l.key, w)
		}
	}
	if n.lingering = n.lingering[count:]; len(n.lingering) == 0 {
		n.lingering = nil
	}
}

// sweep ends what nobody has wanted for a while.
func (n *interest) sweep(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	over := 0
	for over < len(n.lingering) && !n.lingering[over].until.After(now) {
		over++
	}
	n.endFirst(over)
}

// len returns how many names are heard of.
func (n *interest) len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.names)
}

// close ends all.
func (n *interest) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for k, w := range n.names {
		if w.subscribed {
			n.end(k, w)
		}
	}
	n.names, n.lingering = nil, nil
}
