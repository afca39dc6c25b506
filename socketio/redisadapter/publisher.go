package redisadapter

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// maxBatch is how many messages go to Redis before its answers are read.
const maxBatch = 512

// errFull is what is lost when the queue is full.
var errFull = errors.New("the queue is full (Options.MaxQueueBytes)")

// publisher sends messages in order, over one connection, and waits for nobody but Redis.
type publisher struct {
	client    redis.UniversalClient
	own       *redis.Client // made for this; nil: client serves
	node      *redis.Client // of a Redis Cluster, which all goes through, so that it stays in order; run's
	set       *Options
	notices   *notices
	hearing   func() bool // whether this server hears the others
	published atomic.Uint64
	lost      atomic.Uint64
	state     state
	stop      context.CancelFunc
	wake      chan struct{}
	empty     chan struct{} // closed when closing and all has been sent
	ended     chan struct{}

	mu      sync.Mutex
	waiting []message
	bytes   int // of what waits or is being sent
	closing bool
}

type message struct {
	channel string
	data    []byte
}

func (m *message) size() int { return len(m.channel) + len(m.data) + 64 }

func newPublisher(client redis.UniversalClient, set *Options, n *notices, hearing func() bool) *publisher {
	p := &publisher{
		client: client, set: set, notices: n, hearing: hearing, state: state{notices: n, what: "messages wait, those that do not fit are lost"},
		wake: make(chan struct{}, 1), empty: make(chan struct{}), ended: make(chan struct{}),
	}
	if single, ok := client.(*redis.Client); ok {
		o := *single.Options()
		o.MaxRetries = -1 // what has been sent and not answered may have been published
		o.PoolSize, o.MinIdleConns = 1, 0
		o.PushNotificationProcessor = nil // which belongs to the other client, as does this, which it changes when it connects:
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		p.own = redis.NewClient(&o)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.run(ctx)
	return p
}

// publish puts a message into the queue. data is kept.
func (p *publisher) publish(channel string, data []byte) error {
	m := message{channel, data}
	p.mu.Lock()
	full := p.bytes+m.size() > p.set.MaxQueueBytes || p.closing
	if !full {
		p.bytes += m.size()
		p.waiting = append(p.waiting, m)
	}
	p.mu.Unlock()
	if full {
		p.lose(1, errFull)
		return errFull
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

func (p *publisher) lose(n int, err error) {
	p.lost.Add(uint64(n))
	p.notices.warn("redisadapter: messages for other servers are lost", err)
}

func (p *publisher) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

func (p *publisher) err() error { return p.state.err() }

func (p *publisher) run(ctx context.Context) {
	defer close(p.ended)
	var batch []message
	for {
		p.mu.Lock()
		batch, p.waiting = p.waiting, batch[:0]
		closing := p.closing
		p.mu.Unlock()
		if len(batch) == 0 {
			if closing {
				close(p.empty)
				return
			}
			select {
			case <-p.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		for rest := batch; len(rest) > 0; {
			n := min(len(rest), maxBatch)
			p.send(ctx, rest[:n])
			rest = rest[n:]
		}
		clear(batch)
		if cap(batch) > 16*maxBatch {
			batch = nil
		}
	}
}

// maxHold is how long messages wait after Redis has come back, because nobody may hear them yet.
const maxHold = 2 * time.Second

// holds waits while Redis is away, and then until this server hears the others again: then these hear this one, too, or soon.
// It reports false if ctx is done.
func (p *publisher) holds(ctx context.Context) bool {
	var back time.Time
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		via, err := p.via(ctx)
		if err == nil {
			err = via.Ping(ctx).Err()
		}
		switch {
		case err != nil:
			p.node = nil
			p.state.set(err)
			back = time.Time{}
		case p.hearing():
			return ctx.Err() == nil
		case back.IsZero():
			back, pause = time.Now(), 20*time.Millisecond
		case time.Since(back) > maxHold:
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
}

// send sends a batch, and what Redis has certainly not taken again, until it has or ctx is done. messages is overwritten.
func (p *publisher) send(ctx context.Context, messages []message) {
	size := 0
	for i := range messages {
		size += messages[i].size()
	}
	defer func() {
		p.mu.Lock()
		p.bytes -= size
		p.mu.Unlock()
	}()
	for {
		rest, err := p.try(ctx, messages)
		if len(rest) == 0 {
			if err == nil {
				p.state.set(nil)
			}
			return
		}
		messages = rest
		p.state.set(err)
		if !p.holds(ctx) {
			p.lose(len(messages), ErrClosed)
			return
		}
	}
}

// try sends messages, and returns those to be sent again and why.
func (p *publisher) try(ctx context.Context, messages []message) (rest []message, err error) {
	via, err := p.via(ctx)
	if err != nil {
		return messages, err
	}
	pipe := via.Pipeline()
	for i := range messages {
		pipe.Publish(ctx, messages[i].channel, messages[i].data)
	}
	cmds, err := pipe.Exec(ctx)
	if err == nil {
		p.published.Add(uint64(len(messages)))
		return nil, nil
	}
	p.node = nil
	rest = messages[:0]
	for i, cmd := range cmds {
		switch wrong := cmd.Err(); {
		case wrong == nil:
			p.published.Add(1)
		case untaken(wrong):
			rest = append(rest, messages[i])
		default:
			p.lose(1, wrong)
		}
	}
	return rest, err
}

// untaken reports whether a message that has come to this error has certainly not been published and may be soon.
func untaken(err error) bool {
	if reply := redis.Error(nil); errors.As(err, &reply) {
		for _, prefix := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "READONLY"} {
			if strings.HasPrefix(reply.Error(), prefix) {
				return true
			}
		}
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial"
	}
	return !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// via returns what to publish by. In a Redis Cluster any node will do, which tells the others.
func (p *publisher) via(ctx context.Context) (redis.Cmdable, error) {
	if p.own != nil {
		return p.own, nil
	}
	cluster, ok := p.client.(*redis.ClusterClient)
	if !ok {
		return p.client, nil
	}
	if p.node != nil {
		return p.node, nil
	}
	node, err := cluster.MasterForKey(ctx, p.set.Key)
	if err == nil {
		err = node.Ping(ctx).Err()
	}
	if err == nil {
		p.node = node
		return node, nil
	}
	found := make(chan *redis.Client, 1)
	_ = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		err := c.Ping(ctx).Err()
		if err == nil {
			select {
			case found <- c:
			default:
			}
		}
		return err
	})
	select {
	case p.node = <-found:
		return p.node, nil
	default:
		return nil, err
	}
}

// close gives what waits a second, and ends the publisher.
func (p *publisher) close() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	select {
	case <-p.empty:
	case <-time.After(time.Second):
	}
	p.stop()
	if p.own != nil {
		_ = p.own.Close() // which ends what is being sent
	}
	<-p.ended
}
