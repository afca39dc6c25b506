package natsbroker

import (
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

const (
	// feedingQueue is how many messages of followed channels the connection may be ahead of each feeder, which is for moments only.
	feedingQueue = 4096
	// maxFeeding is how many bytes may wait for each feeder, and one message. What comes beyond either is dropped, noticed, and read from
	// the stream.
	maxFeeding = 16 << 20
	// heardBytes is what a message counts besides its data.
	heardBytes = 200
)

// A feeder takes what comes for some of the channels that are followed: one goroutine has it wait, another hands it over.
type feeder struct {
	in    chan *nats.Msg
	bytes atomic.Int64 // of what waits

	mu      sync.Mutex
	more    sync.Cond
	waiting []*nats.Msg
	ended   bool
}

// startFeeding starts the goroutines that take what comes for followers.
func (b *Broker) startFeeding() {
	for range min(runtime.GOMAXPROCS(0), 4) {
		d := &feeder{in: make(chan *nats.Msg, feedingQueue)}
		d.more.L = &d.mu
		b.feeding = append(b.feeding, d)
		b.goroutines.Add(2)
		go b.collect(d)
		go b.handOver(d)
	}
}

func (b *Broker) feederOf(name string) *feeder {
	return b.feeding[maphash.String(b.seed, name)%uint64(len(b.feeding))]
}

// collect is the goroutine that has what comes wait.
func (b *Broker) collect(d *feeder) {
	defer b.goroutines.Done()
	defer d.end()
	full := false
	for {
		select {
		case m := <-d.in:
			full = full || len(d.in) >= feedingQueue*3/4
			if !d.put(m) {
				b.dropped(m)
			}
			if full && len(d.in) == 0 {
				full = false
				b.findDropped()
			}
		case <-b.ctx.Done():
			return
		}
	}
}

// put is false if there is no room.
func (d *feeder) put(m *nats.Msg) bool {
	size := int64(len(m.Data) + heardBytes)
	if all := d.bytes.Add(size); all > maxFeeding && all > size {
		d.bytes.Add(-size)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, m)
	d.more.Signal()
	return true
}

func (d *feeder) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	d.more.Signal()
}

// next waits for what there is; nil: it has ended. spare is used for what comes meanwhile.
func (d *feeder) next(spare []*nats.Msg) []*nats.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.waiting) == 0 && !d.ended {
		d.more.Wait()
	}
	if d.ended {
		return nil
	}
	all := d.waiting
	if d.waiting = spare[:0]; cap(spare) > feedingQueue {
		d.waiting = nil
	}
	return all
}

// handOver is the goroutine that hands over what waits.
func (b *Broker) handOver(d *feeder) {
	defer b.goroutines.Done()
	for all := d.next(nil); all != nil; all = d.next(all) {
		for i, m := range all {
			if b.ctx.Err() != nil {
				return
			}
			b.heardOf(m)
			d.bytes.Add(-int64(len(m.Data) + heardBytes))
			all[i] = nil
		}
	}
}

// dropped has those catch up for whom there was no room.
func (b *Broker) dropped(m *nats.Msg) {
	b.mu.Lock()
	t := b.follows[m.Subject]
	b.mu.Unlock()
	if t == nil {
		return
	}
	b.stats.Dropped.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.follow; f != nil {
		b.catchUp(t, f, 0)
	}
}

// findDropped has those catch up for whom something was dropped.
func (b *Broker) findDropped() {
	for _, t := range b.followed() {
		t.mu.Lock()
		if f := t.follow; f != nil && f.sub != nil {
			if n, err := f.sub.Dropped(); err == nil && n > f.dropped {
				b.stats.Dropped.Add(uint64(n - f.dropped))
				f.dropped = n
				b.catchUp(t, f, 0)
			}
		}
		t.mu.Unlock()
	}
}
