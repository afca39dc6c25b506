package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of nodes.
var (
	// ErrNoNode is the error of a question for a node that is not there.
	ErrNoNode = errors.New("cluster: no such node")
	// ErrGone is the error of a question to a node that went before it answered; it may have done what was asked.
	ErrGone = errors.New("cluster: the node went before it answered")
	// ErrBusy is the error of a question to a node that has as many of its kind under way as it takes.
	ErrBusy = errors.New("cluster: the node is busy")
	// ErrUnknownKind is the error of a question that the node does not know: it is of another version.
	ErrUnknownKind = errors.New("cluster: the node does not know such questions")
	// ErrName is the error of a name, version, state or kind that is empty or too long.
	ErrName = errors.New("cluster: a name, a version, a state or a kind of question is empty or too long")
)

// Options of a [Node]. The zero value has the defaults.
type Options struct {
	// Name is what people call the node: its host, for instance. Up to 255 bytes.
	Name string
	// Version is that of the program. Up to 255 bytes.
	Version string
	// State is what the others see of the node: see [Node.SetState].
	State []byte
	// Heartbeat is how often the node says that it is there. Default: 1 second. All nodes of a cluster should have the same.
	Heartbeat time.Duration
	// DeadAfter is how long another node may be silent. Default: 5 heartbeats.
	DeadAfter time.Duration
	// MaxPeers bounds how many other nodes are known; more are ignored. Default: 1024.
	MaxPeers int
	// MaxAtOnce bounds how many questions of one kind are answered at a time; more are refused with [ErrBusy]. Default: 128.
	MaxAtOnce int
	// AskTimeout is how long a question waits whose context has no deadline. Default: 10 seconds.
	AskTimeout time.Duration
	// MaxStreams bounds how many streams there are at a time, of those that others opened. Default: 4096.
	MaxStreams int
	// Window is how many bytes of a stream may be on their way, or wait for being read. Default: 64 KiB; at most 1 MiB.
	Window int
	// ID is the id to begin with. Default: one at random, which is right but in tests.
	ID string
	// Logger gets what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
}

func (o *Options) fill() error {
	setDefault(&o.Heartbeat, time.Second)
	setDefault(&o.DeadAfter, 5*o.Heartbeat)
	setDefault(&o.MaxPeers, 1024)
	setDefault(&o.MaxAtOnce, 128)
	setDefault(&o.AskTimeout, 10*time.Second)
	setDefault(&o.MaxStreams, 4096)
	setDefault(&o.Window, 64<<10)
	o.Window = min(max(o.Window, minWindow), maxWindow)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ID != "" && !validID([]byte(o.ID)) {
		return fmt.Errorf("cluster: the id of a node is %d letters and digits: %q", idBytes, o.ID)
	}
	if len(o.Name) > maxName || len(o.Version) > maxName || len(o.State) > maxState {
		return ErrName
	}
	return nil
}

func setDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// The subjects of nodes within the prefix of the bus. Streams have their own, so that their bulk delays nothing else.
const (
	subjectAll     = "node.all"
	subjectNode    = "node."
	subjectStreams = "stream."
)

// A Node is this process among those of its cluster. All methods may be called from any goroutine.
//
// No node trusts the clock of another: ages are told, not times. A node that does not hear itself on the bus knows that it is
// cut off, and calls nobody dead until it is not any more.
type Node struct {
	bus    Bus
	o      Options
	log    *slog.Logger
	joined time.Time
	count  counters

	ctx    context.Context // of the handlers
	cancel context.CancelFunc
	done   chan struct{} // closed by Leave
	works  sync.WaitGroup

	self     atomic.Pointer[identity]
	renaming atomic.Bool
	beat     atomic.Pointer[[]byte] // the description as it is sent

	announcing sync.Mutex // held while a beat is sent, or a goodbye; after mu
	silent     bool       // it has said goodbye

	mu        sync.Mutex
	stops     []func() // what listens for the subjects of self
	stopAll   func()
	peers     map[string]*peer
	fallen    map[string]fallen
	number    uint64 // of the last request
	serial    uint64 // of the last peer that came
	me        *peer  // for what this node asks itself
	lastTick  time.Time
	lastEcho  time.Time
	lastGap   time.Time
	gapDue    bool
	away      bool
	left      bool
	handlers  map[string]*handler
	questions map[uint64]*question
	watchers  watchers

	streams streams
}

// identity is the id of a node, and which start of a process has it.
type identity struct {
	id   string
	born uint64
}

// Join makes a node on a bus and announces it. It does not wait for the others: they are known within moments, if the
// broker is there at all. The bus stays the caller's, who closes it after [Node.Leave].
func Join(bus Bus, o Options) (*Node, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	now := time.Now()
	n := &Node{
		bus: bus, o: o, log: o.Logger, joined: now, lastTick: now, lastEcho: now,
		done:  make(chan struct{}),
		peers: make(map[string]*peer), fallen: make(map[string]fallen),
		handlers: make(map[string]*handler), questions: make(map[uint64]*question),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.watchers.wake = make(chan struct{}, 1)
	n.streams.init(n)
	if err := n.describe(o.State); err != nil {
		return nil, err
	}
	id := o.ID
	if id == "" {
		id = randomID()
	}
	if err := n.become(id); err != nil {
		return nil, err
	}
	stop, err := bus.Listen(subjectAll, func(data []byte) { n.receive(data, true) })
	if err != nil {
		n.unlisten()
		return nil, err
	}
	n.stopAll = stop
	bus.OnGap(func() { n.gap("the bus has a gap") })
	n.works.Add(2)
	go n.run()
	go n.watch()
	_ = n.announce(subjectAll, flagHello)
	return n, nil
}

// ID is the id of the node: 6 letters and digits. It changes if another node, which has been there for longer, has the same;
// the functions of [Node.OnGap] are called then.
func (n *Node) ID() string { return n.self.Load().id }

// Err says why the node hears nothing of the others at the moment; nil: it does.
func (n *Node) Err() error {
	if err := n.bus.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.left:
		return ErrClosed
	case n.away:
		return fmt.Errorf("%w: what this node sends does not come back", ErrAway)
	}
	return nil
}

// SetState has the others see another state, of up to 8 KiB: small JSON, for instance. It is copied.
func (n *Node) SetState(state []byte) error {
	if err := n.describe(state); err != nil {
		return err
	}
	return n.announce(subjectAll, 0)
}

// Leave says goodbye. Questions and streams end with [ErrClosed]; it waits for the handlers that are under way, whose contexts
// end, but no longer than ctx.
func (n *Node) Leave(ctx context.Context) error {
	n.mu.Lock()
	if n.left {
		n.mu.Unlock()
		return nil
	}
	n.left = true
	for _, q := range n.questions {
		q.fail(ErrClosed)
	}
	n.mu.Unlock()

	n.streams.close()
	err := n.farewell(n.self.Load(), true)
	n.unlisten()
	n.stopAll()
	n.cancel()
	close(n.done)
	finished := make(chan struct{})
	go func() {
		n.works.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// become takes an id, and listens for what is sent to it.
func (n *Node) become(id string) error {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	stop, err := n.bus.Listen(subjectNode+id, func(data []byte) { n.receive(data, false) })
	if err != nil {
		return err
	}
	stopStreams, err := n.bus.Listen(subjectStreams+id, n.streams.receive)
	if err != nil {
		stop()
		return err
	}
	self := identity{id: id, born: binary.BigEndian.Uint64(random[:])}
	n.mu.Lock()
	left := n.left
	if !left {
		n.self.Store(&self)
		n.me = &peer{identity: self, Peer: Peer{ID: id}}
		n.stops = []func(){stop, stopStreams}
	}
	n.mu.Unlock()
	if left { // meanwhile: nobody would stop it
		stop()
		stopStreams()
		return ErrClosed
	}
	return nil
}

func (n *Node) unlisten() {
	n.mu.Lock()
	stops := n.stops
	n.stops = nil
	n.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func randomID() string {
	id := make([]byte, 0, idBytes)
	var b [1]byte
	for len(id) < idBytes {
		_, _ = io.ReadFull(rand.Reader, b[:]) // never fails
		// 248 is 4 × 62: what is above would make some characters likelier.
		if b[0] < 248 {
			id = append(id, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(id)
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Milliseconds(), 1), math.MaxUint32))
}
