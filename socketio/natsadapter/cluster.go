package natsadapter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster"
	"baro.dev/socketio"
)

// Errors.
var (
	// ErrAway is why nobody else is asked while the broker cannot be reached. It comes in a *socketio.ServersError.
	ErrAway = errors.New("natsadapter: NATS cannot be reached")
	// ErrFull is why nobody else is asked while Options.MaxPendingBytes wait to be sent.
	ErrFull = errors.New("natsadapter: too much waits to be sent")
	// ErrTooLarge is why nobody else is asked with what is longer than Options.MaxMessageBytes.
	ErrTooLarge = errors.New("natsadapter: the message is too long")
	// ErrClosed is the error of what is done with a cluster that is closed, or whose connection is.
	ErrClosed = errors.New("natsadapter: closed")

	errRefused = errors.New("natsadapter: refused")
)

// Cluster is a server among those that share a prefix on a broker. It is for one socketio.Server. All methods may be called by any
// goroutine.
type Cluster struct {
	conn     *nats.Conn
	set      Options
	id       string
	subjects subjects
	log      *seldom
	count    counters
	in       chan *nats.Msg
	out      outbox
	bus      bus
	node     *cluster.Node
	number   atomic.Uint64 // of the last message that was sent on several subjects or in pieces
	queued   atomic.Int64  // bytes that have come and are not handled yet
	statuses chan nats.Status
	status   atomic.Int32 // the last one of the connection, which can be asked only by who may wait
	asking   atomic.Bool  // it is being asked
	payload  atomic.Int64 // how long the data of a message may be
	done     chan struct{}
	once     sync.Once
	running  sync.WaitGroup

	mu       sync.Mutex
	server   *socketio.Server
	adapters map[string]*adapter // by the word of the namespace
	all      key                 // stands for the namespaces there are
	peers    map[string]*peer    // by uid
	closed   bool

	pieces pieces // of the goroutine of receive
}

// inboxLength is how many messages the connection may be ahead of the goroutine that sorts them, which never waits.
const inboxLength = 1 << 16

// New joins a cluster by a connection, which stays the caller's: it has to be open for as long as the cluster, and may be used for
// other things. It does not wait for the others, and the broker need not be there yet (nats.RetryOnFailedConnect). The
// connection should be made with nats.MaxReconnects(-1), so that it never gives up; it must not have nats.NoEcho.
//
// How to have a server use it: socketio.Options.Adapter is the method [Cluster.Adapter]. Close it after the server.
func New(conn *nats.Conn, o *Options) (*Cluster, error) {
	set, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if conn.Opts.NoEcho {
		return nil, errors.New("natsadapter: the connection has nats.NoEcho, so that it cannot tell whether it is cut off")
	}
	if conn.IsClosed() {
		return nil, ErrClosed
	}
	c := &Cluster{
		conn: conn, set: set, id: newID(), subjects: subjects{set.Prefix}, in: make(chan *nats.Msg, inboxLength),
		log: &seldom{to: set.Logger}, adapters: map[string]*adapter{}, peers: map[string]*peer{}, done: make(chan struct{}),
	}
	c.out = outbox{conn: conn, in: c.in, max: set.MaxPendingBytes, wake: make(chan struct{}, 1), done: c.sent}
	c.bus = bus{cluster: c, listeners: map[string]*listener{}}
	c.pieces = pieces{max: set.MaxMessageBytes, all: map[string]*pieced{}}
	c.statuses = conn.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	c.status.Store(int32(conn.Status()))
	c.learnPayload()
	c.out.subscribe(new(subscription), c.subjects.node(c.id, "*"))
	c.running.Go(c.out.run)
	c.running.Go(c.receive)
	c.node, err = cluster.Join(&c.bus, cluster.Options{
		Name: set.Name, State: c.state(), Heartbeat: set.Heartbeat, DeadAfter: set.DeadAfter, MaxAtOnce: 1024,
		AskTimeout: set.RequestTimeout, Logger: set.Logger,
	})
	if err != nil {
		c.end()
		return nil, fmt.Errorf("natsadapter: %w", err)
	}
	c.node.Handle(askNamespaces, c.tellNamespaces)
	c.node.Handle(askBarrier, c.tellBarrier)
	c.node.OnPeer(c.peer)
	c.running.Go(c.watch)
	return c, nil
}

// ID returns what this server is called by the others: 10 letters and digits, others each time. socketio.ServersError has such ids,
// and the ids of sockets begin with the first six characters.
func (c *Cluster) ID() string { return c.id }

// Adapter makes the adapter of a namespace: it is what socketio.Options.Adapter takes. It panics if the cluster is another
// server's already.
func (c *Cluster) Adapter(n *socketio.Namespace) socketio.Adapter {
	a := newAdapter(c, n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil && c.server != n.Server() {
		panic("natsadapter: a Cluster is for one socketio.Server")
	}
	c.server = n.Server()
	if c.closed {
		return a
	}
	if c.adapters[a.word] == nil {
		c.changed(a.word)
	}
	c.adapters[a.word] = a // of a namespace that is made again the one before may not be closed yet
	return a
}

// removed forgets the adapter of a namespace.
func (c *Cluster) removed(a *adapter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.adapters[a.word] == a {
		delete(c.adapters, a.word)
		c.changed(a.word)
	}
}

// Err says why the other servers cannot be reached at the moment: ErrAway, which is also so when the broker takes or gives
// nothing any more, or ErrClosed; nil: they can. It does not wait.
func (c *Cluster) Err() error {
	if err := c.connected(); err != nil {
		return err
	}
	switch err := c.node.Err(); {
	case errors.Is(err, cluster.ErrClosed):
		return ErrClosed
	case err != nil:
		return ErrAway
	}
	return nil
}

// connected is Err as far as the connection knows.
func (c *Cluster) connected() error {
	select {
	case <-c.done:
		return ErrClosed
	default:
	}
	switch nats.Status(c.status.Load()) {
	case nats.CONNECTED:
		return nil
	case nats.CLOSED:
		return ErrClosed
	}
	return ErrAway
}

// learnStatus asks the connection how it is. It may wait.
func (c *Cluster) learnStatus() {
	c.status.Store(int32(c.conn.Status()))
	c.asking.Store(false)
}

// learnPayload asks how much the broker takes. It may wait.
func (c *Cluster) learnPayload() {
	n := c.conn.MaxPayload()
	if n <= 0 {
		n = 1 << 20 // as brokers have it, if none has told yet
	}
	c.payload.Store(n)
}

// Flush waits until all other servers that live send here what is for the rooms that sockets have joined before it was called. It
// takes one round trip. A handler needs it where it tells a client that it is in a room, and the client then has another server
// send something to that room on a way that is not of this cluster; whoever hears of the room by an event of the cluster comes
// later anyway. The error is a *socketio.ServersError, or that of ctx.
func (c *Cluster) Flush(ctx context.Context) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	done := make(chan struct{})
	if !c.out.then(func() { close(done) }) {
		return c.pass(ctx, "") // which says why not
	}
	select {
	case <-done:
		return c.pass(ctx, "")
	case <-ctx.Done():
		others := c.others("")
		return &socketio.ServersError{Missing: len(others), Servers: others, Err: context.Cause(ctx)}
	}
}

// watch looks after the connection.
func (c *Cluster) watch() {
	defer c.conn.RemoveStatusListener(c.statuses)
	ticker := time.NewTicker(c.set.Heartbeat)
	defer ticker.Stop()
	away := false
	for {
		select {
		case <-c.done:
			return
		case status := <-c.statuses:
			if c.status.Store(int32(status)); status == nats.CONNECTED {
				c.out.then(c.learnPayload)
				c.bus.gap()
			}
		case now := <-ticker.C:
			c.sweep(now)
			if c.asking.CompareAndSwap(false, true) { // the connection tells only who receives at that moment
				c.out.then(c.learnStatus)
			}
		}
		err := c.Err()
		if errors.Is(err, ErrClosed) {
			c.set.Logger.Warn("the connection to NATS is closed: other servers cannot be reached any more")
			c.abandon()
			return
		}
		switch {
		case err != nil && !away:
			c.count.away.Add(1)
			c.set.Logger.Warn("NATS is away: other servers cannot be reached", "prefix", c.set.Prefix)
		case err == nil && away:
			c.set.Logger.Info("NATS is back", "prefix", c.set.Prefix)
		}
		away = err != nil
	}
}

// sweep drops what is not needed any longer.
func (c *Cluster) sweep(now time.Time) {
	for _, a := range c.list() {
		a.interest.sweep(now)
	}
}

func (c *Cluster) list() []*adapter {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*adapter, 0, len(c.adapters))
	for _, a := range c.adapters {
		all = append(all, a)
	}
	return all
}

// Close leaves the cluster: the others know at once. What was sent before leaves first, if it can before ctx is done; the error
// is context.Cause(ctx) then. It is to be called after socketio.Server.Close, and leaves the connection open.
func (c *Cluster) Close(ctx context.Context) error {
	err := c.node.Leave(ctx)
	for _, a := range c.list() {
		_ = a.Close()
	}
	if c.connected() == nil {
		if e := c.drain(ctx); err == nil {
			err = e
		}
	}
	c.end()
	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done(): // what is being written to the connection ends as that does
		return context.Cause(ctx)
	}
}

// abandon ends what can do nothing any more without the connection.
func (c *Cluster) abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c.node.Leave(ctx)
	c.end()
}

// drain waits until what was sent has reached the broker.
func (c *Cluster) drain(ctx context.Context) error {
	done := make(chan struct{})
	flush := func() {
		_ = c.conn.FlushTimeout(c.set.RequestTimeout) // that the connection has ended is for its owner to know
		close(done)
	}
	if !c.out.then(flush) {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end has all goroutines end.
func (c *Cluster) end() {
	c.once.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		close(c.done)
		c.out.close()
	})
}

// pass waits until all other servers that have a namespace, "": all, have done what they were sent before.
func (c *Cluster) pass(ctx context.Context, word string) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	asked := c.others(word)
	err := c.Err()
	if err == nil {
		var missing []string
		if _, missing, err = c.node.AskAll(ctx, askBarrier, []byte(word)); err == nil {
			if missing = c.living(missing); len(missing) == 0 {
				return nil
			}
			if err = context.Cause(ctx); err == nil {
				err = errRefused
			}
			return &socketio.ServersError{Answered: max(0, len(asked)-len(missing)), Missing: len(missing), Servers: missing, Err: err}
		}
	}
	return &socketio.ServersError{Missing: len(asked), Servers: asked, Err: err}
}

func (c *Cluster) bounded(ctx context.Context) (context.Context, func()) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, c.set.RequestTimeout, socketio.ErrTimeout)
}
