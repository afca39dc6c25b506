// Package membus is a bus within one process, for tests of what is built on buses: several nodes in one program, and every
// fault of a network at will.
package membus

import (
	"slices"
	"sync"
	"time"

	"baro.dev/internal/cluster"
)

// A Network joins buses. The zero value is ready; its methods may be called from any goroutine.
type Network struct {
	mu       sync.Mutex
	buses    []*Bus
	fate     func(Passage) Fate
	count    Count
	maxBytes int
}

// A Passage is a message on its way from one bus to one that listens. Data must not be changed, nor kept.
type Passage struct {
	From, To *Bus
	Subject  string
	Data     []byte
}

// Fate is what happens to a passage. The zero value delivers it once, at once.
type Fate struct {
	Drop      bool
	Duplicate int           // how many more times it is delivered
	Delay     time.Duration // what comes later from the same bus on the same subject waits too
	Overtake  bool          // it does not wait for those before it
}

// Count is what went through a network: messages that were published, those that were delivered, and the bytes of both.
type Count struct{ Published, PublishedBytes, Delivered, DeliveredBytes uint64 }

// Fate has f decide about each passage; nil: all is delivered. f is called one at a time and must not call the network.
func (w *Network) Fate(f func(Passage) Fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fate = f
}

// SetMaxBytes bounds messages; by default to 1 MiB.
func (w *Network) SetMaxBytes(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.maxBytes = n
}

// Count is what has gone through since the network began.
func (w *Network) Count() Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// Bus joins another bus to the network.
func (w *Network) Bus() *Bus {
	b := &Bus{network: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buses = append(w.buses, b)
	return b
}

// Bus is a [cluster.Bus] of one process of a [Network].
type Bus struct {
	network *Network

	// All that follows is guarded by network.mu.
	listeners []*listener
	gaps      []func()
	cutIn     bool
	cutOut    bool
	away      bool
	closed    bool
}

var _ cluster.Bus = (*Bus)(nil)

// Publish implements [cluster.Bus].
func (b *Bus) Publish(subject string, data []byte) error {
	w := b.network
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case b.closed:
		return cluster.ErrClosed
	case b.away:
		return cluster.ErrAway
	case len(data) > w.limit():
		return cluster.ErrTooLarge
	}
	w.count.Published++
	w.count.PublishedBytes += uint64(len(data))
	if b.cutOut {
		return nil
	}
	copied := slices.Clone(data)
	for _, to := range w.buses {
		if to.cutIn || to.away {
			continue
		}
		for _, l := range to.listeners {
			if l.subject == subject {
				w.pass(Passage{From: b, To: to, Subject: subject, Data: copied}, l)
			}
		}
	}
	return nil
}

// pass delivers a message to one listener, as its fate is. w.mu is held.
func (w *Network) pass(p Passage, l *listener) {
	var fate Fate
	if w.fate != nil {
		fate = w.fate(p)
	}
	if fate.Drop {
		return
	}
	due := time.Now().Add(fate.Delay)
	for range fate.Duplicate + 1 {
		w.count.Delivered++
		w.count.DeliveredBytes += uint64(len(p.Data))
		l.add(letter{from: p.From, data: p.Data, due: due}, fate.Overtake)
	}
}

func (w *Network) limit() int {
	if w.maxBytes == 0 {
		return 1 << 20
	}
	return w.maxBytes
}

// Listen implements [cluster.Bus].
func (b *Bus) Listen(subject string, f func(data []byte)) (stop func(), err error) {
	w := b.network
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.closed {
		return nil, cluster.ErrClosed
	}
	l := &listener{subject: subject, f: f, wake: make(chan struct{}, 1), last: make(map[*Bus]time.Time)}
	b.listeners = append(b.listeners, l)
	return func() {
		w.mu.Lock()
		b.listeners = slices.DeleteFunc(b.listeners, func(o *listener) bool { return o == l })
		w.mu.Unlock()
		l.end()
	}, nil
}

// OnGap implements [cluster.Bus].
func (b *Bus) OnGap(f func()) {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	b.gaps = append(b.gaps, f)
}

// MaxBytes implements [cluster.Bus].
func (b *Bus) MaxBytes() int {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	return b.network.limit()
}

// Err implements [cluster.Bus].
func (b *Bus) Err() error {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	switch {
	case b.closed:
		return cluster.ErrClosed
	case b.away:
		return cluster.ErrAway
	}
	return nil
}

// Close implements [cluster.Bus].
func (b *Bus) Close() error {
	w := b.network
	w.mu.Lock()
	listeners := b.listeners
	b.closed, b.listeners = true, nil
	w.buses = slices.DeleteFunc(w.buses, func(o *Bus) bool { return o == b })
	w.mu.Unlock()
	for _, l := range listeners {
		l.end()
	}
	return nil
}

// Cut has what comes in, or what goes out, vanish without a sign; false: it flows again.
func (b *Bus) Cut(in, out bool) {
	b.network.mu.Lock()
	defer b.network.mu.Unlock()
	b.cutIn, b.cutOut = in, out
}

// Away has the bus tell that its broker is away; false: it is back, and who asked for it is told of the gap.
func (b *Bus) Away(away bool) {
	b.network.mu.Lock()
	b.away = away
	gaps := slices.Clone(b.gaps)
	b.network.mu.Unlock()
	if away {
		return
	}
	for _, f := range gaps {
		f()
	}
}

// Gap tells those who asked for it that messages may have been lost.
func (b *Bus) Gap() { b.Away(false) }
