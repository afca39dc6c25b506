package natsadapter

import (
	"context"
	"slices"
	"sync/atomic"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
)

// adapter is that of a namespace.
type adapter struct {
	*clusteradapter.Adapter
	cluster  *Cluster
	word     string // that of the namespace
	subject  string // that its subjects begin with
	own, all subscription
	interest interest
	inbox    inbox
	fresh    fresh
	closed   atomic.Bool
}

func newAdapter(c *Cluster, n *socketio.Namespace) *adapter {
	a := &adapter{cluster: c, word: word(n.Name())}
	a.subject = c.subjects.namespace(a.word)
	a.interest = interest{out: &c.out, namespace: a.subject, linger: c.set.Linger, names: map[key]*wanted{}}
	a.inbox = inbox{cluster: c, handle: a.handle}
	a.fresh = fresh{adapter: a, rooms: map[string]uint64{}}
	a.Adapter = clusteradapter.New(n, transport{a}, clusteradapter.Options{
		UID: c.id, RequestTimeout: c.set.RequestTimeout, MaxBytes: c.set.MaxMessageBytes, Logger: c.set.Logger,
	})
	tag := c.id[:tagLength]
	a.PrefixIDs(tag)
	a.OnSocket(func(id string, there bool) {
		if isSocketID(id) && id[:tagLength] == tag {
			return // what is for these is heard anyway
		}
		a.interest.count(id, there)
	})
	a.OnRoom(func(e socketio.RoomEvent) {
		if e.Type != socketio.CreateRoom && e.Type != socketio.DeleteRoom || isSocketID(e.Room) && e.Room[:tagLength] == tag {
			return
		}
		a.interest.count(e.Room, e.Type == socketio.CreateRoom)
	})
	c.out.subscribe(&a.all, everybody(a.subject))
	c.out.subscribe(&a.own, ownSockets(a.subject, tag))
	return a
}

// handle takes a message of another server.
func (a *adapter) handle(r received) {
	m, err := clusteradapter.Parse(r.body)
	switch {
	case err != nil:
		a.Ignore(err)
	case m.UID != r.sender:
		a.Ignore(errSender)
	default:
		a.ReceiveMessage(m, "")
	}
}

// ServerCount returns the number of servers that have the namespace; with ErrAway of those that had it when the broker could
// be reached.
func (a *adapter) ServerCount(context.Context) (int, error) {
	return 1 + len(a.cluster.others(a.word)), a.cluster.Err()
}

// Close leaves the namespace.
func (a *adapter) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	err := a.Adapter.Close()
	c := a.cluster
	c.removed(a)
	c.out.unsubscribe(&a.all)
	c.out.unsubscribe(&a.own)
	a.interest.close()
	a.inbox.close()
	c.count.keep(a.Stats())
	return err
}

// transport is how an adapter reaches the others.
type transport struct{ adapter *adapter }

// Servers tells who has the namespace.
func (t transport) Servers(context.Context) (clusteradapter.Servers, error) {
	others := t.adapter.cluster.others(t.adapter.word)
	return clusteradapter.Servers{Count: 1 + len(others), Others: others}, nil
}

// Publish sends a message to those that it concerns.
func (t transport) Publish(m *clusteradapter.Message) error {
	a, c := t.adapter, t.adapter.cluster
	err := c.Err()
	switch {
	case err == nil:
	case err != ErrAway || m.RequestID != "":
		return err
	case m.Options != nil && m.Options.Flags.Volatile:
		return nil
	}
	body, err := m.Encode()
	if err != nil {
		return err
	}
	targeted := false
	switch m.Type {
	case clusteradapter.Broadcast:
		targeted = m.RequestID == "" // all answer, with 0 if they have nobody
	case clusteradapter.SocketsJoin, clusteradapter.SocketsLeave, clusteradapter.DisconnectSockets:
		targeted = true
	}
	if targeted {
		if subjects := a.subjects(m.Options.Rooms); len(subjects) == 1 || len(subjects) > 1 && len(body) <= c.size() {
			return a.published(m, c.send(body, subjects...))
		}
	}
	return a.published(m, c.send(body, everybody(a.subject)))
}

// published notes who may join rooms by what was sent.
func (a *adapter) published(m *clusteradapter.Message, err error) error {
	if err == nil && m.Type == clusteradapter.SocketsJoin {
		a.fresh.add(m.Rooms)
	}
	return err
}

// Respond sends a message to one server.
func (t transport) Respond(uid string, m *clusteradapter.Message) error {
	if err := t.adapter.cluster.Err(); err != nil {
		return err
	}
	if !isID(uid) {
		return errSender
	}
	body, err := m.Encode()
	if err != nil {
		return err
	}
	c := t.adapter.cluster
	return c.send(body, c.subjects.node(uid, t.adapter.word))
}

// maxSubjects is for how many rooms there is a message for each; what is for more goes to all servers that have the namespace.
const maxSubjects = 8

// subjects returns where what is for rooms is sent, nil: to all.
func (a *adapter) subjects(rooms []string) []string {
	if len(rooms) == 0 || len(rooms) > maxSubjects || a.fresh.any(rooms) {
		return nil
	}
	all := make([]string, 0, len(rooms))
	for _, room := range rooms {
		if s := roomSubject(a.subject, room); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// size is how much goes into one message to the broker.
func (c *Cluster) size() int { return max(1, min(int(c.payload.Load())-maxHead, maxPiece)) }

// send sends a body on subjects, to each server once.
func (c *Cluster) send(body []byte, to ...string) error {
	if len(body) > c.set.MaxMessageBytes {
		c.count.unsent.Add(1)
		return ErrTooLarge
	}
	f := frame{sender: c.id, body: body}
	var all []outgoing
	if size := c.size(); len(body) > size {
		all = c.cut(f, to[0], size)
	} else {
		if len(to) > 1 {
			f.form, f.numbers[0] = copied, c.number.Add(1)
		}
		data := f.bytes()
		all = make([]outgoing, len(to))
		for i, subject := range to {
			all[i] = outgoing{subject: subject, data: data}
		}
	}
	if !c.out.publish(all...) {
		c.count.unsent.Add(uint64(len(all)))
		return ErrFull
	}
	return nil
}
