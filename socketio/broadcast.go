package socketio

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"baro.dev/socketio/parser"
)

// BroadcastOperator says which sockets something is for, and how it is sent. It is an immutable value: each method returns another
// one, and an operator may be kept and used again.
type BroadcastOperator struct {
	of interface {
		each(func(*Namespace))
	}
	rooms, except []string
	flags         Flags
}

// To adds rooms: the sockets that are in any of them. Without rooms it is all of the namespace. The id of a socket is a room.
func (o BroadcastOperator) To(rooms ...string) BroadcastOperator {
	o.rooms = append(slices.Clip(o.rooms), rooms...)
	return o
}

// In is To.
func (o BroadcastOperator) In(rooms ...string) BroadcastOperator { return o.To(rooms...) }

// Except leaves out the sockets that are in any of the rooms.
func (o BroadcastOperator) Except(rooms ...string) BroadcastOperator {
	o.except = append(slices.Clip(o.except), rooms...)
	return o
}

// Local leaves out the sockets of other servers of a cluster.
func (o BroadcastOperator) Local() BroadcastOperator { o.flags.Local = true; return o }

// Volatile leaves out clients that are not ready for an event.
func (o BroadcastOperator) Volatile() BroadcastOperator { o.flags.Volatile = true; return o }

// Compress says whether events are compressed, where there is compression at all.
func (o BroadcastOperator) Compress(compress bool) BroadcastOperator {
	o.flags.Uncompress = !compress
	return o
}

// Timeout bounds the time for acknowledgements.
func (o BroadcastOperator) Timeout(d time.Duration) BroadcastOperator { o.flags.Timeout = d; return o }

func (o BroadcastOperator) options() *BroadcastOptions {
	return &BroadcastOptions{Rooms: o.rooms, Except: o.except, Flags: o.flags}
}

// Emit sends an event. It is encoded once. The error says what cannot be encoded; that some clients could not be reached is none.
func (o BroadcastOperator) Emit(event string, args ...any) error {
	var err error
	options := o.options()
	o.of.each(func(n *Namespace) {
		p := &parser.Packet{Type: parser.Event, Namespace: n.name, Data: parser.EventData(event, args...)}
		err = errors.Join(err, n.adapter.Broadcast(p, options))
	})
	return err
}

// Send emits the event message.
func (o BroadcastOperator) Send(args ...any) error { return o.Emit("message", args...) }

var errParent = errors.New("socketio: not for a parent of namespaces")

// one returns the namespace, if it is one.
func (o BroadcastOperator) one() (*Namespace, error) {
	if n, ok := o.of.(*Namespace); ok {
		return n, nil
	}
	return nil, errParent
}

// EmitWithAck sends an event and waits for the acknowledgements of all clients, in the order in which they come. If some have
// not answered when ctx is done, or the time of Timeout is over, or because they are gone, the error is a *PartialError, and the
// answers of the others are returned with it.
func (o BroadcastOperator) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	n, err := o.one()
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, o.flags.Timeout)
	defer cancel()
	g := gathering{expected: -1, done: make(chan struct{})}
	p := &parser.Packet{Type: parser.Event, Namespace: n.name, Data: parser.EventData(event, args...)}
	stop, err := n.adapter.BroadcastWithAck(p, o.options(), g.expect, g.answer)
	if err != nil {
		return nil, err
	}
	defer stop()
	select {
	case <-g.done:
		err = g.lost()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	answers := slices.Clone(g.answers)
	if missing := g.expected - len(answers); missing > 0 {
		return answers, &PartialError{len(answers), missing, err}
	}
	return answers, nil
}

// gathering is answers being gathered.
type gathering struct {
	mu       sync.Mutex
	expected int // -1: not known yet
	settled  int
	answers  []Args
	err      error // of the last client that will not answer
	finished bool
	done     chan struct{}
}

func (g *gathering) expect(clients int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expected = max(g.expected, 0) + clients
	g.check()
}

func (g *gathering) answer(a Args, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.settled++; err != nil {
		g.err = err
	} else {
		g.answers = append(g.answers, a)
	}
	g.check()
}

func (g *gathering) check() {
	if g.expected >= 0 && g.settled >= g.expected && !g.finished {
		g.finished = true
		close(g.done)
	}
}

func (g *gathering) lost() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// FetchSockets returns the sockets, those of other servers among them.
func (o BroadcastOperator) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	n, err := o.one()
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, o.flags.Timeout)
	defer cancel()
	all, err := n.adapter.FetchSockets(ctx, o.options())
	for _, r := range all {
		r.fetched(n)
	}
	return all, err
}

// SocketsJoin puts the sockets into rooms.
func (o BroadcastOperator) SocketsJoin(rooms ...string) {
	o.of.each(func(n *Namespace) { n.adapter.AddSockets(o.options(), rooms) })
}

// SocketsLeave takes the sockets out of rooms.
func (o BroadcastOperator) SocketsLeave(rooms ...string) {
	o.of.each(func(n *Namespace) { n.adapter.DelSockets(o.options(), rooms) })
}

// DisconnectSockets disconnects the sockets; see Socket.Disconnect.
func (o BroadcastOperator) DisconnectSockets(closeClients bool) {
	o.of.each(func(n *Namespace) { n.adapter.DisconnectSockets(o.options(), closeClients) })
}
