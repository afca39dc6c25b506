package redisbus

import (
	"bytes"
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/redislink"
)

// outgoing is a message on its way.
type outgoing struct {
	channel string
	data    []byte
	home    *home // nil: there is one lane
}

func (m *outgoing) size() int { return len(m.data) + besides }

// lane is what waits for a master. Guarded by Bus.mu.
type lane struct {
	b       *Bus
	client  *redis.Client
	waiting []outgoing
	working bool
}

// home is the lane that a channel has while something of it is on its way: so that stays in order, though its slot moves. Guarded by Bus.mu.
type home struct {
	name string
	lane *lane
	n    int // messages
}

// A pipeline is at most this long.
const (
	atOnce      = 512
	atOnceBytes = 1 << 20
)

// Publish implements [cluster.Bus].
func (b *Bus) Publish(name string, data []byte) error {
	if len(data) > b.o.MaxBytes {
		return cluster.ErrTooLarge
	}
	var away error
	if !b.sharded { // or some may get through, and others not
		away = b.sub.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	m := outgoing{channel: b.prefix + name, data: data}
	switch {
	case b.closed:
		return cluster.ErrClosed
	case away != nil || b.bytes+m.size() > b.o.MaxOutgoing:
		return cluster.ErrAway
	}
	m.data = bytes.Clone(data)
	b.bytes += m.size()
	if c, ok := b.client.(*redis.Client); ok {
		b.lane(c).add(m)
		return nil
	}
	b.waiting = append(b.waiting, m)
	if !b.routing {
		b.routing = true
		b.works.Go(b.route)
	}
	return nil
}

// route gives what waits to the lanes, where Redis is a cluster: the slots may have to be asked for.
func (b *Bus) route() {
	for {
		b.mu.Lock()
		all := b.waiting
		b.waiting = nil
		b.routing = len(all) > 0
		b.mu.Unlock()
		if len(all) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(b.ctx, sendTimeout)
		for _, m := range all {
			name := m.channel
			if !b.sharded {
				name = b.prefix // any will do, but always the same
			}
			if b.join(name, nil, m) {
				continue
			}
			client, err := redislink.Master(ctx, b.client, name)
			if err != nil {
				b.gone([]outgoing{m}, true)
				continue
			}
			b.join(name, client, m)
		}
		cancel()
	}
}

// join has m wait in the lane of a channel, or where it has none yet in that of a client; nil: then it is false. Only route calls it.
func (b *Bus) join(name string, client *redis.Client, m outgoing) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.homes[name]
	if h == nil {
		if client == nil {
			return false
		}
		h = &home{name: name, lane: b.lane(client)}
		b.homes[name] = h
	}
	h.n++
	m.home = h
	h.lane.add(m)
	return true
}

// lane finds or makes the lane of a master. mu is held.
func (b *Bus) lane(client *redis.Client) *lane {
	l := b.lanes[client]
	if l == nil {
		l = &lane{b: b, client: client}
		b.lanes[client] = l
	}
	return l
}

// add has m wait. Bus.mu is held.
func (l *lane) add(m outgoing) {
	l.waiting = append(l.waiting, m)
	if !l.working {
		l.working = true
		l.b.works.Go(l.work)
	}
}

// gone notes that messages do not wait any more, and whether one was lost. When some have been sent after that it is told.
func (b *Bus) gone(some []outgoing, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unsent && !lost {
		b.gapLocked()
	}
	b.unsent = lost
	for i := range some {
		b.bytes -= some[i].size()
		if h := some[i].home; h != nil {
			if h.n--; h.n == 0 {
				delete(b.homes, h.name)
			}
		}
	}
	if b.bytes == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

func (l *lane) take() []outgoing {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	n, size := 0, 0
	for n < min(len(l.waiting), atOnce) && (n == 0 || size < atOnceBytes) {
		size += l.waiting[n].size()
		n++
	}
	some := append([]outgoing(nil), l.waiting[:n]...)
	clear(l.waiting[:n])
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	if n == 0 {
		l.working = false
		delete(l.b.lanes, l.client)
	}
	return some
}

// work sends what waits. What Redis does not take is lost.
func (l *lane) work() {
	for some := l.take(); len(some) > 0; some = l.take() {
		ctx, cancel := context.WithTimeout(l.b.ctx, sendTimeout)
		moved, lost := l.send(ctx, l.client, some)
		failed := lost || len(moved) > 0
		if len(moved) > 0 && !l.follow(ctx, moved) {
			lost = true
		}
		if failed {
			l.rehome(ctx, some)
		}
		cancel()
		l.b.gone(some, lost)
		if failed {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-l.b.ctx.Done():
			}
		}
	}
}

// send gives messages to a server, and returns those that are another's, and whether one is lost.
func (l *lane) send(ctx context.Context, client *redis.Client, some []outgoing) (moved []outgoing, lost bool) {
	pipe := client.Pipeline()
	cmds := make([]*redis.IntCmd, len(some))
	for i, m := range some {
		if l.b.sharded {
			cmds[i] = pipe.SPublish(ctx, m.channel, m.data)
		} else {
			cmds[i] = pipe.Publish(ctx, m.channel, m.data)
		}
	}
	_, failure := pipe.Exec(ctx)
	for i, c := range cmds {
		switch err := c.Err(); {
		case err == nil:
		case l.b.sharded && (redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "TRYAGAIN")):
			moved = append(moved, some[i])
		default:
			lost = true
		}
	}
	return moved, lost || failure != nil && len(moved) == 0 // who connects may be refused, and no command has an error
}

// follow sends messages to where their slots have gone, in order. It is false where some are lost.
func (l *lane) follow(ctx context.Context, moved []outgoing) bool {
	for range 5 {
		redislink.Reload(l.b.client)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
		for len(moved) > 0 {
			client, err := redislink.Master(ctx, l.b.client, moved[0].channel)
			if err != nil {
				return false
			}
			still, lost := l.send(ctx, client, moved[:1])
			if lost {
				return false
			}
			if len(still) > 0 {
				break
			}
			moved = moved[1:]
		}
		if len(moved) == 0 {
			return true
		}
	}
	return false
}

// rehome has what waits behind messages that Redis did not take here wait in the lanes where they belong now.
func (l *lane) rehome(ctx context.Context, some []outgoing) {
	if !redislink.IsCluster(l.b.client) {
		return
	}
	redislink.Reload(l.b.client)
	clients := make(map[*home]*redis.Client)
	for _, m := range some {
		if clients[m.home] == nil {
			if c, err := redislink.Master(ctx, l.b.client, m.home.name); err == nil {
				clients[m.home] = c
			}
		}
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	for h, c := range clients {
		h.lane = l.b.lane(c)
	}
	waiting := l.waiting
	l.waiting = nil
	for _, m := range waiting {
		m.home.lane.add(m)
	}
}
