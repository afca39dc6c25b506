package client

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"baro.dev/channel"
)

// A Client is connected to a server, or about to be. [New] and [Dial] make one.
type Client struct {
	set    *settings
	http   http.Client
	inbox  inbox
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	subs    map[string]*Subscription
	session *session  // over WebSocket; nil if there is none
	plain   *requests // if channels are followed over HTTP
	failing map[Transport]bool
	now     Transport
	times   int           // it was connected
	changed chan struct{} // closed when the transport changes
	failure error         // of the last try
	final   error         // nothing is tried any more
	token   string
	calls   calls
}

// New makes a client of the server of a URL: http, https, ws or wss; a path is what comes before /ws and /c/. options may be nil; they
// are copied. It connects at once, in the background, until Close.
func New(url string, options *Options) (*Client, error) {
	set, err := options.settings(url)
	if err != nil {
		return nil, err
	}
	c := &Client{set: set, subs: make(map[string]*Subscription), failing: map[Transport]bool{}, changed: make(chan struct{})}
	c.inbox.limit = set.MaxBuffered
	c.http = newHTTP(set)
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.work.Go(c.run)
	return c, nil
}

// Dial is New, and waits until the client is connected. While the server cannot be reached it is tried again, until ctx is done: then
// the client is closed, and the error is that of ctx with what failed last. If the server refuses, it is an *Error.
func Dial(ctx context.Context, url string, options *Options) (*Client, error) {
	c, err := New(url, options)
	if err != nil {
		return nil, err
	}
	if err := c.connected(ctx, 0); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Connected waits until the client is connected. The error is that of ctx, with what failed last, or why nothing is tried any more.
func (c *Client) Connected(ctx context.Context) error {
	c.mu.Lock()
	times := c.times
	c.mu.Unlock()
	return c.connected(ctx, times)
}

// connected waits until the client is connected, or has been once more than so many times.
func (c *Client) connected(ctx context.Context, times int) error {
	for {
		c.mu.Lock()
		was := c.times > times
		c.mu.Unlock()
		now, changed, err := c.state()
		switch {
		case now != "" || was && c.ctx.Err() == nil:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			c.mu.Lock()
			defer c.mu.Unlock()
			return errors.Join(context.Cause(ctx), c.failure)
		}
	}
}

// Transport returns what is in use; "" while the client is not connected.
func (c *Client) Transport() Transport {
	now, _, _ := c.state()
	return now
}

func (c *Client) state() (now Transport, changed <-chan struct{}, final error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	final = c.final
	if c.ctx.Err() != nil {
		final = ErrClosed
	}
	return c.now, c.changed, final
}

// become is that a transport works, or none.
func (c *Client) become(now Transport, err error) {
	c.mu.Lock()
	if c.now = now; now != "" {
		c.times++
	}
	if err != nil {
		c.failure = err
	}
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if f := c.set.OnState; f != nil {
		f(now, err)
	}
}

// Close ends the client and its subscriptions. It waits until all has ended but handlers, so that one may call it.
func (c *Client) Close() error {
	c.cancel(ErrClosed)
	c.inbox.close()
	c.work.Wait()
	c.http.CloseIdleConnections()
	c.mu.Lock()
	all := c.subs
	c.subs = map[string]*Subscription{}
	c.mu.Unlock()
	for _, s := range all {
		s.end(ErrClosed)
	}
	return nil
}

// Subscribe has handler called with each message of a channel, from now on or from options.After on. The message may be kept. It
// does not wait for the server: see SubscribeOptions.OnEnd. options may be nil; they are copied. The error is ErrSubscribed or ErrClosed.
func (c *Client) Subscribe(name string, handler func(*channel.Message), options *SubscribeOptions) (*Subscription, error) {
	s := &Subscription{client: c, name: name, handle: handler, done: make(chan struct{})}
	if options != nil {
		s.options = *options
	}
	if p, err := channel.ParsePosition(s.options.After); err == nil && p.Epoch != "" {
		s.last, s.began = p, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return nil, ErrClosed
	case c.final != nil:
		return nil, c.final
	case c.subs[name] != nil:
		return nil, ErrSubscribed
	}
	c.subs[name] = s
	switch {
	case c.session != nil:
		c.session.subscribe(s)
	case c.plain != nil:
		c.follow(s)
	}
	return s, nil
}

// unsubscribe ends a subscription; the server is told if it does not know.
func (c *Client) unsubscribe(s *Subscription, err error, tell bool) {
	c.mu.Lock()
	if c.subs[s.name] == s {
		delete(c.subs, s.name)
		if tell && c.session != nil {
			_ = c.session.say(frame{Unsubscribe: &named{s.name}}) // or it has ended
		}
	}
	c.mu.Unlock()
	if f := s.options.OnEnd; s.end(err) && f != nil && !errors.Is(err, ErrClosed) {
		c.inbox.push(0, func() { f(err) })
	}
}

func (c *Client) subscription(name string) *Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subs[name]
}

// run connects, again and again.
func (c *Client) run() {
	for try := 1; ; try++ {
		worked, err := c.attempt()
		if c.ctx.Err() != nil {
			return
		}
		c.set.Logger.Debug("not connected", "error", err)
		if again := c.renewed(err); lasting(err) && !again {
			c.giveUp(err)
			return
		}
		if worked {
			try = 1
		}
		if !pause(c.ctx, c.set.delay(try, err)) {
			return
		}
	}
}

// attempt connects, and returns when the connection has ended; worked says whether there was one.
func (c *Client) attempt() (worked bool, err error) {
	if c.set.Transports[0] == WebSocket {
		var s *session
		if s, err = c.dial(); err == nil {
			return true, s.serve()
		}
		if lasting(err) || len(c.set.Transports) == 1 || c.ctx.Err() != nil {
			c.become("", err)
			return false, err
		}
	}
	if failed := c.probe(); failed != nil {
		err = errors.Join(err, failed)
		c.become("", err)
		return false, err
	}
	return true, c.overHTTP()
}

// renewed says whether a refusal was for the sake of a token that has expired, and there may be another.
func (c *Client) renewed(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || c.set.Token == nil || e.Code != codeExpired {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = ""
	return true
}

// giveUp is that the server does not want the client.
func (c *Client) giveUp(err error) {
	c.mu.Lock()
	c.final = err
	all := make([]*Subscription, 0, len(c.subs))
	for _, s := range c.subs {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		c.unsubscribe(s, err, false)
	}
	c.become("", err)
}

// authorization is the header of a request. The token is asked for if there is none.
func (c *Client) authorization(ctx context.Context) (http.Header, error) {
	h := c.set.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if c.set.Token == nil {
		return h, nil
	}
	c.mu.Lock()
	token := c.token
	c.mu.Unlock()
	if token == "" {
		var err error
		ctx, cancel := context.WithTimeout(ctx, c.set.Timeout)
		defer cancel()
		if token, err = c.set.Token(ctx); err != nil {
			return nil, err
		}
		c.mu.Lock()
		c.token = token
		c.mu.Unlock()
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h, nil
}

// requests are those by which all channels are followed.
type requests struct {
	ctx context.Context
	all sync.WaitGroup
}

// overHTTP follows all channels by requests, until the WebSocket passes again.
func (c *Client) overHTTP() error {
	ctx, cancel := context.WithCancel(c.ctx)
	r := &requests{ctx: ctx}
	end := sync.OnceFunc(func() {
		c.mu.Lock()
		c.plain = nil
		c.mu.Unlock()
		cancel()
		r.all.Wait()
	})
	defer end()
	c.mu.Lock()
	c.plain = r
	for _, s := range c.subs {
		c.follow(s)
	}
	first := c.transport()
	c.mu.Unlock()
	c.become(first, nil)
	if c.set.Transports[0] != WebSocket {
		<-c.ctx.Done()
		return context.Cause(c.ctx)
	}
	for pause(ctx, c.set.WebSocketInterval) {
		s, err := c.dial()
		if err == nil {
			end()
			return s.serve()
		}
		if again := c.renewed(err); lasting(err) && !again {
			return err
		}
	}
	return context.Cause(c.ctx)
}
