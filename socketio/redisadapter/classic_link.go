package redisadapter

import (
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
)

// factory makes the adapters of the servers that share Options.
type factory struct {
	client redis.UniversalClient
	set    Options

	mu    sync.Mutex
	links map[*socketio.Server]*link
}

func (f *factory) adapter(n *socketio.Namespace) *Adapter {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.links[n.Server()]
	if l == nil {
		l = newLink(f)
		f.links[n.Server()] = l
	}
	a := newAdapter(n, l)
	l.join(a)
	return a
}

// link is what the adapters of one server share.
type link struct {
	factory *factory
	client  redis.UniversalClient
	set     Options
	uid     string
	notices *notices
	out     *publisher
	in      *subscriber
	answers turns // requests of other servers that take long to answer
	counters

	members int // adapters; factory.mu guards it

	mu     sync.RWMutex
	routes map[string]route // by channel or pattern
}

// route is who gets what comes on a channel.
type route struct {
	adapter *Adapter
	take    func(a *Adapter, channel, payload string)
}

type counters struct{ received, elsewhere, ignored atomic.Uint64 }

// Stats count what has passed between a server and Redis.
type Stats struct {
	Published  uint64 // messages that Redis has taken
	Lost       uint64 // messages of this server that it has not: the queue was full, or the connection broke while they were under way
	Queued     int    // bytes that wait to be published
	Received   uint64 // messages of other servers
	Elsewhere  uint64 // broadcasts among them for rooms that nobody here is in
	Ignored    uint64 // what was no message of a cluster, or too long, or came faster than it could be answered
	Reconnects uint64 // how often the connection that receives has been made again; messages may have been missed each time
}

func (l *link) stats() Stats {
	return Stats{
		Published: l.out.published.Load(), Lost: l.out.lost.Load(), Queued: l.out.queued(), Received: l.received.Load(),
		Elsewhere: l.elsewhere.Load(), Ignored: l.ignored.Load(), Reconnects: l.in.reconnects.Load(),
	}
}

func newLink(f *factory) *link {
	l := &link{factory: f, client: f.client, set: f.set, uid: newID(), routes: map[string]route{}}
	l.notices = newNotices(f.set.Logger, f.set.OnError)
	l.in = newSubscriber(f.client, l.notices, l.dispatch)
	l.out = newPublisher(f.client, &l.set, l.notices, func() bool { return l.in.err() == nil })
	return l
}

// idLetters are those of the ids of servers and requests, as by the official adapter.
const idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// newID returns a random id of six letters.
func newID() string {
	var random [6]byte
	for i := range random {
		for {
			_, _ = rand.Read(random[i : i+1])
			if b := random[i] & 63; int(b) < len(idLetters) {
				random[i] = idLetters[b]
				break
			}
		}
	}
	return string(random[:])
}

// pattern is that of all channels that begin with prefix.
func pattern(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(prefix) + "*"
}

// routed are the routes of an adapter.
func (a *Adapter) routed() (routes map[string]route, channels []string, patterns []string) {
	broadcasts := pattern(a.channel)
	channels = []string{a.requestChannel, a.responseChannel, a.ownResponseChannel}
	return map[string]route{
		broadcasts:           {a, (*Adapter).takeBroadcast},
		a.requestChannel:     {a, (*Adapter).takeRequest},
		a.responseChannel:    {a, (*Adapter).takeResponse},
		a.ownResponseChannel: {a, (*Adapter).takeResponse},
	}, channels, []string{broadcasts}
}

// join has an adapter get its messages. factory.mu is held.
func (l *link) join(a *Adapter) {
	l.members++
	routes, channels, patterns := a.routed()
	l.mu.Lock()
	maps.Copy(l.routes, routes)
	l.mu.Unlock()
	l.in.want(channels, patterns)
}

// leave takes an adapter out, and ends the link if it was the last one.
func (l *link) leave(a *Adapter) {
	f := l.factory
	f.mu.Lock()
	routes, channels, patterns := a.routed()
	l.mu.Lock()
	current := l.routes[a.requestChannel].adapter == a // and no namespace of the same name that has been made since
	if current {
		for name := range routes {
			delete(l.routes, name)
		}
	}
	l.mu.Unlock()
	if current {
		l.in.drop(channels, patterns)
	}
	l.members--
	last := l.members == 0
	if last {
		delete(f.links, a.Namespace().Server())
	}
	f.mu.Unlock()
	if last {
		l.in.close()
		l.out.close()
	}
}

// dispatch gives a message to its adapter. The subscriber's goroutine calls it.
func (l *link) dispatch(m *redis.Message) {
	name := m.Channel
	if m.Pattern != "" {
		name = m.Pattern
	}
	l.mu.RLock()
	r, ok := l.routes[name]
	l.mu.RUnlock()
	if !ok {
		return
	}
	l.received.Add(1)
	if len(m.Payload) > l.set.MaxMessageBytes {
		l.ignore(errLong)
		return
	}
	r.take(r.adapter, m.Channel, m.Payload)
}

var errLong = errors.New("it is longer than Options.MaxMessageBytes")

// ignore counts something that is no message of a cluster.
func (l *link) ignore(err error) {
	l.ignored.Add(1)
	l.notices.warn("redisadapter: messages in Redis that are not understood", err)
}
