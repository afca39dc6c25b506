package natsadapter

import (
	"bytes"
	"fmt"
	"sync"

	"baro.dev/internal/cluster"
)

// bus carries what the nodes of package cluster tell each other, in one order with everything else that is sent here.
type bus struct {
	cluster *Cluster

	mu        sync.Mutex
	listeners map[string]*listener // by the whole subject
	gaps      []func()
}

type listener struct {
	subscription
	f func([]byte)
}

// Publish sends data: see cluster.Bus.
func (b *bus) Publish(subject string, data []byte) error {
	switch err := b.Err(); {
	case err != nil:
		return err // what is said of the moment is of no use later
	case len(data) > b.MaxBytes():
		return cluster.ErrTooLarge
	}
	c := b.cluster
	if !c.out.publish(outgoing{subject: c.subjects.bus(subject), data: bytes.Clone(data)}) {
		return cluster.ErrAway
	}
	return nil
}

// Listen has f called: see cluster.Bus.
func (b *bus) Listen(subject string, f func([]byte)) (func(), error) {
	c := b.cluster
	subject = c.subjects.bus(subject)
	l := &listener{f: f}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners[subject] != nil {
		return nil, fmt.Errorf("natsadapter: somebody listens on %s already", subject)
	}
	b.listeners[subject] = l
	c.out.subscribe(&l.subscription, subject)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.listeners[subject] == l {
			delete(b.listeners, subject)
			c.out.unsubscribe(&l.subscription)
		}
	}, nil
}

// take gives what came to who listens. It reports false if nobody does.
func (b *bus) take(subject string, data []byte) bool {
	b.mu.Lock()
	l := b.listeners[subject]
	b.mu.Unlock()
	if l != nil {
		l.f(data)
	}
	return l != nil
}

// OnGap has f called when messages may have been lost: see cluster.Bus.
func (b *bus) OnGap(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gaps = append(b.gaps, f)
}

func (b *bus) gap() {
	b.mu.Lock()
	gaps := b.gaps
	b.mu.Unlock()
	for _, f := range gaps {
		f()
	}
}

// MaxBytes is how long data may be.
func (b *bus) MaxBytes() int { return int(b.cluster.payload.Load()) }

// Err says why nothing gets through.
func (b *bus) Err() error {
	switch b.cluster.connected() {
	case nil:
		return nil
	case ErrAway:
		return cluster.ErrAway
	}
	return cluster.ErrClosed
}

// Close does nothing: the bus ends with its Cluster.
func (b *bus) Close() error { return nil }
