package connection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// errOver is how a stream ends that the server has ended, as it may: with Reconnect there will be another one.
var errOver = fmt.Errorf("the server ended the stream: %w", io.EOF)

// conn is a Connection: a link, and the next one when it breaks. Whoever receives makes the next one, too.
type conn struct {
	dialer  dialer
	current atomic.Pointer[generation]
	closing atomic.Bool
	gone    chan struct{} // closed when closing begins
	goOnce  sync.Once

	// Of whoever receives.
	from    resume
	attempt int       // of making a link again; 0: it is there
	tries   int       // how often in a row that was needed, without a link that lasted
	began   time.Time // the last link
	next    time.Time // when that is tried
	why     error     // the last link broke, or could not be made

	in, out, bytesIn, bytesOut, reconnects atomic.Int64
	wire                                   wire
	lastID                                 atomic.Pointer[string]

	telling sync.Mutex

	mu  sync.Mutex
	err error // the end
}

// generation is one link.
type generation struct {
	link
	over chan struct{} // closed when there is another one, or none any more
}

func newConn(o *Options) *conn {
	c := &conn{gone: make(chan struct{}), from: resume{id: o.After}}
	c.dialer = dialer{Options: o, wire: &c.wire, tell: c.tell}
	return c
}

func (c *conn) tell(s State) {
	if c.dialer.OnState == nil {
		return
	}
	if s.Kind == Connected {
		s.Info = c.Info()
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	c.dialer.OnState(s)
}

func (c *conn) begin(l link) {
	again := c.attempt > 0
	c.attempt, c.why, c.began = 0, nil, time.Now()
	old := c.current.Swap(&generation{l, make(chan struct{})})
	if old != nil {
		close(old.over)
	}
	c.tell(State{Kind: Connected, Recovered: again && c.from.id != ""})
}

// Receive implements Connection.
func (c *conn) Receive(ctx context.Context) (Message, error) {
	for {
		if err := c.ended(); err != nil {
			return Message{}, err
		}
		if c.attempt > 0 {
			if err := c.again(ctx); err != nil {
				return Message{}, err
			}
		}
		g := c.current.Load()
		m, err := g.receive(ctx)
		missed, isMissed := errors.AsType[*missedError](err)
		switch {
		case err == nil:
			c.in.Add(1)
			c.bytesIn.Add(int64(len(m.Data)))
			m.At = time.Now()
			if m.ID != "" && m.ID != c.from.id {
				c.reached(m.ID)
			}
			return m, nil
		case c.closing.Load():
			return Message{}, c.end(g, ErrClosed)
		case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)), errors.Is(err, ErrMessage):
			return Message{}, err
		case isMissed:
			c.reached(missed.at)
			c.tell(State{Kind: Missed, Err: err})
		case c.dialer.Reconnect && c.dialer.Protocol != SocketIO && (passing(err) || err == errOver):
			g.cut()
			c.tell(State{Kind: Disconnected, Err: err})
			c.remember(g)
			c.postpone(err)
		default:
			g.cut()
			if err == errOver {
				err = io.EOF
			}
			return Message{}, c.end(g, err)
		}
	}
}

func (c *conn) reached(id string) {
	c.from.id = id
	c.lastID.Store(&id)
}

// remember takes over what a link knows of where it was.
func (c *conn) remember(g *generation) {
	l, ok := g.link.(interface{ resume() resume })
	if !ok {
		return
	}
	at := l.resume()
	c.from.retry = at.retry
	if at.id != "" && at.id != c.from.id {
		c.reached(at.id)
	}
}

// end is the end for ever, and of g, and returns why.
func (c *conn) end(g *generation, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(g.over)
	}
	return c.err
}

func (c *conn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// lasting is how long a link is there, in first delays, that counts as made: a server that accepts and breaks at once is asked ever more seldom.
const lasting = 6

// postpone says when the next link is tried.
func (c *conn) postpone(why error) {
	o := c.dialer.Options
	longest := cmp.Or(o.MaxDelay, defaultMaxDelay)
	delay := cmp.Or(o.Delay, defaultDelay)
	if c.attempt == 0 && time.Since(c.began) > lasting*delay {
		c.tries = 0
	}
	c.tries++
	c.attempt = c.tries
	for i := 1; i < c.attempt && delay < longest; i++ {
		delay *= 2
	}
	delay = max(min(delay, longest), min(c.from.retry, longest))
	delay = delay/2 + rand.N(delay/2+1)
	c.next, c.why = time.Now().Add(delay), why
	c.tell(State{Kind: Waiting, Err: why, Attempt: c.attempt, Delay: delay})
}

// again makes the next link, when it is time for that.
func (c *conn) again(ctx context.Context) error {
	dialing, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.gone:
			cancel()
		case <-dialing.Done():
		}
	}()
	for {
		g := c.current.Load()
		if most := c.dialer.MaxAttempts; most > 0 && c.attempt > most {
			return c.end(g, c.why)
		}
		timer := time.NewTimer(time.Until(c.next))
		select {
		case <-timer.C:
		case <-dialing.Done():
			timer.Stop()
		}
		if c.closing.Load() {
			return c.end(g, ErrClosed)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l, err := c.dialer.dial(dialing, c.dialer.Protocol, c.from)
		missed, isMissed := errors.AsType[*missedError](err)
		switch {
		case err == nil && c.closing.Load():
			l.cut()
		case err == nil:
			c.reconnects.Add(1)
			c.begin(l)
			return nil
		case isMissed:
			c.reached(missed.at)
			c.tell(State{Kind: Missed, Err: err})
		case dialing.Err() != nil:
		case !passing(err):
			return c.end(g, err)
		default:
			c.postpone(err)
		}
	}
}

// Send implements Connection.
func (c *conn) Send(ctx context.Context, m Message) error {
	for {
		g := c.current.Load()
		err := g.send(ctx, m)
		switch {
		case err == nil:
			c.out.Add(1)
			c.bytesOut.Add(int64(len(m.Data)))
			return nil
		case c.closing.Load():
			return ErrClosed
		case !c.dialer.Reconnect, ctx.Err() != nil, errors.Is(err, ErrMessage), errors.Is(err, ErrReadOnly):
			return err
		}
		select {
		case <-g.over:
		case <-c.gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := c.ended(); err != nil {
			return err
		}
	}
}

// Ping implements Connection.
func (c *conn) Ping(ctx context.Context) (time.Duration, error) { return c.current.Load().ping(ctx) }

// Cork implements Corker.
func (c *conn) Cork() {
	if k, ok := c.current.Load().link.(Corker); ok {
		k.Cork()
	}
}

// Uncork implements Corker.
func (c *conn) Uncork() {
	if k, ok := c.current.Load().link.(Corker); ok {
		k.Uncork()
	}
}

// Close implements Connection.
func (c *conn) Close(ctx context.Context, code int, reason string) error {
	c.closing.Store(true)
	defer c.goOnce.Do(func() { close(c.gone) })
	return c.current.Load().close(ctx, code, reason)
}

// Info implements Connection.
func (c *conn) Info() Info {
	i := Info{URL: shown(c.dialer.Target.URL)}
	c.current.Load().info(&i)
	if id := c.lastID.Load(); id != nil {
		i.Position = *id
	}
	itself := i.Stats.Reconnects
	i.Stats = Stats{
		MessagesIn: c.in.Load(), MessagesOut: c.out.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		WireIn: c.wire.in.Load(), WireOut: c.wire.out.Load(), Reconnects: itself + c.reconnects.Load(),
	}
	return i
}
