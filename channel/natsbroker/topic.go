package natsbroker

import (
	"container/list"
	"sync"
	"time"

	"baro.dev/channel"
)

// A topic is what the broker knows of a channel.
type topic struct {
	name    string
	subject string // where it is published

	// Guarded by Broker.mu.
	users int           // calls under way, the queue, who follows
	idle  *list.Element // where there are none

	mu     sync.Mutex
	known  bool // tail is
	tail   tail
	queue  []*entry
	flight *flight                     // what is under way to NATS; nil: nothing
	ready  bool                        // it is among those that the sender looks at
	paused bool                        // it will be, after a pause
	losses int                         // how often in a row another process was faster
	keys   map[string]*channel.Message // of what was published while others wait, without data
	follow *follow                     // nil: nobody follows
	trim   trim
}

// An entry is what was handed to Append, until its done is called.
type entry struct {
	m    *channel.Message // nil: a record without messages
	keep channel.Keep
	done func(channel.Appended, error)
	size int64
	wire int
	at   time.Time

	anew     anew             // of a record without messages
	admitted bool             // it is counted among what waits
	err      error            // it was refused, or waited for too long
	original *channel.Message // it is a duplicate of this
}

// topic finds or makes what is known of a channel, and keeps it until it is released.
func (b *Broker) topic(name string) *topic {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[name]
	if t == nil {
		t = &topic{name: name, subject: b.subject(name)}
		b.topics[name] = t
	}
	if t.idle != nil {
		b.idle.Remove(t.idle)
		t.idle = nil
	}
	t.users++
	return t
}

func (b *Broker) release(t *topic) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.users--; t.users > 0 {
		return
	}
	t.idle = b.idle.PushFront(t)
	for b.idle.Len() > b.options.MaxTopics {
		oldest := b.idle.Remove(b.idle.Back()).(*topic)
		delete(b.topics, oldest.name)
	}
}

// forgetEnds has the stream asked where channels end before anything is put there: it may be another one, or have forgotten something, and others
// have put there what has the sequences that are known.
func (b *Broker) forgetEnds() {
	b.mu.Lock()
	all := make([]*topic, 0, len(b.topics))
	for _, t := range b.topics {
		all = append(all, t)
	}
	b.mu.Unlock()
	for _, t := range all {
		t.mu.Lock()
		t.known = false // what tail says is what the answer is compared with
		t.mu.Unlock()
	}
}

// learn notes a record that may be the newest. mu is held.
func (t *topic) learn(r *record, seq uint64) {
	t.remember(r.messages)
	if t.known && seq > t.tail.seq {
		t.tail = tailOf(r, seq)
	}
}

// meet notes what may be the end of a channel where none is known and nobody looks for it: a follower that is to renew it has to. mu is held.
func (t *topic) meet(last *stored) {
	if t.known || t.flight != nil || len(t.queue) > 0 {
		return
	}
	if r, ok := last.valid(); ok {
		if end := tailOf(&r, last.seq); !t.tail.forgotten(&end) {
			t.tail, t.known = end, true
		}
	}
}
