package presence

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cluster"
)

// Options of [Peers]. The zero value has the defaults.
type Options struct {
	// Logger gets what is wrong with what comes from the bus, once a minute. Default: nothing is logged.
	Logger *slog.Logger
}

// Peers is [channel.Peers] for the hub of a node. Make it with [New].
type Peers struct {
	node *cluster.Node
	bus  cluster.Bus
	log  *slog.Logger

	ctx     context.Context // until Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{} // has a token when there is something to do

	mu     sync.Mutex
	here   func(name string) channel.Presence
	places map[string]*place
	peers  map[string]*peer // the other nodes that are there
	fresh  []*place         // entered, and the others were not asked yet
	dirty  map[*place]struct{}
	echoes [len(echoAfter)][]echo // what is to be said again, by when
	gaps   []time.Time            // when the others are to be told that something may be missing
	stats  Stats
	logged time.Time
	closed bool
}

// peer is another node, from when it came until it goes. Peers.mu guards it.
type peer struct {
	id    string
	wants map[string]struct{} // the channels that it is to be asked about
	busy  bool                // it is being asked
	not   time.Time           // before which it is not to be asked again
}

// Stats counts what happened since the beginning.
type Stats struct {
	Channels int    // that live here, and have presence
	Members  int    // of them, here
	Told     uint64 // messages that said who came and went
	Heard    uint64 // such messages of other nodes
	Pulled   uint64 // states that were asked for, since something was missing
	Poisoned uint64 // messages that were ignored, since something was wrong with them
}

// New makes peers of a node on its bus, for a hub, whose [channel.Options] have them. They are closed before the node leaves.
func New(node *cluster.Node, bus cluster.Bus, o Options) *Peers {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Peers{
		node: node, bus: bus, log: o.Logger, wake: make(chan struct{}, 1),
		places: make(map[string]*place), peers: make(map[string]*peer), dirty: make(map[*place]struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	node.Handle(kindPull, p.answerPull)
	node.Handle(kindPage, p.answerPage)
	node.Handle(kindWho, p.answerWho)
	node.Handle(kindGap, p.hearGap)
	node.OnPeer(func(n cluster.Peer, there bool) { p.onPeer(n.ID, there) })
	node.OnGap(p.onGap)
	p.running.Go(p.run)
	return p
}

// Close ends everything: the node says nothing of its members any more.
func (p *Peers) Close() {
	p.mu.Lock()
	p.closed = true
	for name, place := range p.places {
		delete(p.places, name)
		defer place.end()
	}
	p.mu.Unlock()
	p.cancel()
	p.running.Wait()
}

// Stats says what has happened.
func (p *Peers) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Channels = len(p.places)
	for _, place := range p.places {
		s.Members += len(place.told)
	}
	return s
}

// Begin implements [channel.Peers], as do those below.
func (p *Peers) Begin(here func(name string) channel.Presence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here = here
}

// Enter has the node listen for a channel.
func (p *Peers) Enter(name string, crowd channel.Crowd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.places[name] != nil {
		return
	}
	place := &place{
		peers: p, name: name, subject: "presence." + cluster.Word(name), crowd: crowd, life: rand.Text()[:13], entering: true,
		told: make(map[string]channel.Member), changes: make(map[string]*channel.Member), views: make(map[string]*view),
	}
	stop, err := p.bus.Listen(place.subject, place.hear)
	if err != nil {
		p.log.Warn("presence of a channel is not heard of from other nodes", "channel", name, "error", err)
	}
	place.stop = stop
	p.places[name] = place
	p.fresh = append(p.fresh, place)
	p.awake()
}

// Leave has it listen no longer.
func (p *Peers) Leave(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place := p.places[name]; place != nil {
		delete(p.places, name)
		place.leaveAll()
		p.running.Go(place.end) // the bus may wait for a message that waits for the channel
	}
}

// Joined notes who is to be told of.
func (p *Peers) Joined(name string, m channel.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.places[name]
	if place == nil {
		return
	}
	if told, ok := place.told[m.Client]; ok && told.User == m.User && string(told.Info) == string(m.Info) {
		delete(place.changes, m.Client) // it is back before anybody was told that it was away
		return
	}
	place.note(m.Client, &m)
}

// Left notes it, too.
func (p *Peers) Left(name, client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.places[name]
	if place == nil {
		return
	}
	if _, told := place.told[client]; !told {
		delete(place.changes, client)
		return
	}
	place.note(client, nil)
}

// awake has run look at what there is to do.
func (p *Peers) awake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Peers) heard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Heard++
}

// poison counts what is wrong, and logs it once a minute.
func (p *Peers) poison(from string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Poisoned++
	if now := time.Now(); now.Sub(p.logged) >= time.Minute {
		p.logged = now
		p.log.Warn("what came from the bus about presence is ignored", "node", from, "error", err, "ignored", p.stats.Poisoned)
	}
}
