package server

import (
	"hash/maphash"
	"sync"
	"time"
)

// In a cluster the backend is told of a channel's first subscriber over all servers, and of its last. Nothing orders what happens at
// two servers at the same moment: the backend may be told twice then, but is told.

// occupiedQuestion asks whether a channel has subscribers.
type occupiedQuestion struct {
	Channel string `json:"channel"`
}

type occupiedAnswer struct {
	Occupied bool          `json:"occupied"`
	For      time.Duration `json:"for,omitempty"` // how long it has had some
}

const (
	occupancyWorkers = 8
	// occupancyQueue is how many changes may wait for one worker; of those beyond it the backend is told without asking the others.
	occupancyQueue = 1024
	// sameMoment is how far apart two servers may be in getting a channel's first subscriber, each without knowing of the other.
	sameMoment = time.Second
)

// occupancy is which channels have subscribers here, and since when.
type occupancy struct {
	mu     sync.Mutex
	since  map[string]time.Time
	seed   maphash.Seed
	queues [occupancyWorkers]chan occupancyChange
}

type occupancyChange struct {
	channel  string
	occupied bool
}

func newOccupancy() *occupancy {
	o := &occupancy{since: map[string]time.Time{}, seed: maphash.MakeSeed()}
	for i := range o.queues {
		o.queues[i] = make(chan occupancyChange, occupancyQueue)
	}
	return o
}

// occupied is for [channel.Options.OnOccupied].
func (s *Server) occupied(name string, occupied bool) {
	if s.joined == nil {
		s.backends.occupied(name, occupied)
		return
	}
	o := s.joined.occupancy
	o.mu.Lock()
	if occupied {
		o.since[name] = time.Now()
	} else {
		delete(o.since, name)
	}
	o.mu.Unlock()
	if !s.backends.sender.HasEndpoints() {
		return
	}
	select {
	case o.queues[maphash.String(o.seed, name)%occupancyWorkers] <- occupancyChange{name, occupied}:
	default:
		s.backends.occupied(name, occupied)
	}
}

// tellOccupancy tells the backend what the others do not know otherwise, for one channel in order, until the server ends.
func (j *joined) tellOccupancy(queue <-chan occupancyChange) {
	for {
		select {
		case c := <-queue:
			if j.isFirstOrLast(c) {
				j.server.backends.occupied(c.channel, c.occupied)
			}
		case <-j.ctx.Done():
			return
		}
	}
}

func (j *joined) isFirstOrLast(c occupancyChange) bool {
	here := j.occupiedHere(c.channel)
	answers, _ := askAll[occupiedAnswer](j.ctx, j, kindOccupied, occupiedQuestion{c.channel})
	for node, there := range answers {
		switch {
		case !there.Occupied:
		case !c.occupied:
			return false // it is not the last
		case there.For > here.For+sameMoment, there.For > here.For-sameMoment && node < j.node.ID():
			return false // it is not the first
		}
	}
	return true
}

func (j *joined) occupiedHere(name string) occupiedAnswer {
	j.occupancy.mu.Lock()
	defer j.occupancy.mu.Unlock()
	since, ok := j.occupancy.since[name]
	if !ok {
		return occupiedAnswer{}
	}
	return occupiedAnswer{true, time.Since(since)}
}
