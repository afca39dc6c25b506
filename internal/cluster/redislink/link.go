package redislink

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// link is one connection of a subscriber, over and over, and the channels that are listened for on it.
type link struct {
	s      *Subscriber
	key    string
	client *redis.Client // of the server; nil: of any one of a cluster
	kick   chan struct{} // has room for one: something is dirty

	// Guarded by Subscriber.mu.
	subs    map[string]*sub
	dirty   []*sub
	err     error // why there is no connection
	refused bool  // Redis has refused a channel, and does not say which
	ended   bool
}

var errConnecting = errors.New("redislink: not connected yet")

func newLink(s *Subscriber, key string, client *redis.Client) *link {
	return &link{s: s, key: key, client: client, kick: make(chan struct{}, 1), subs: make(map[string]*sub), err: errConnecting}
}

func (l *link) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// longestPause is how long a link waits at most before it connects again.
const longestPause = time.Second

// run connects until the subscriber is closed, or a link to a master of a cluster is not needed any more.
func (l *link) run() {
	pause := 10 * time.Millisecond
	for l.s.ctx.Err() == nil {
		c, err := l.dial()
		if err == nil {
			began := time.Now()
			var answered bool
			if answered, err = l.serve(c); answered && time.Since(began) > 3*l.s.o.Beat {
				pause = 10 * time.Millisecond
			}
		}
		if l.s.ctx.Err() != nil {
			return
		}
		if !l.lost(err) {
			return
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-l.s.ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

func (l *link) dial() (*conn, error) {
	client := l.client
	if client == nil {
		var err error
		if client, err = Master(l.s.ctx, l.s.o.Client, l.s.o.BeatChannel+l.key); err != nil {
			return nil, err
		}
	}
	return dial(l.s.ctx, client, l.s.o.MaxBytes)
}

// lost notes that there is no connection, and says whether another one is needed.
func (l *link) lost(err error) bool {
	s := l.s
	s.mu.Lock()
	l.err = err
	l.dirty = nil
	for name, e := range l.subs {
		e.dirty, e.sent, e.settled = false, false, false
		if e.handler == nil {
			delete(l.subs, name)
			delete(s.subs, name)
		}
	}
	if s.route != nil {
		if len(l.subs) == 0 {
			l.ended = true
			delete(s.links, l.key)
		} else {
			s.reroute()
		}
	}
	ended := l.ended
	s.mu.Unlock()
	if ended {
		return false
	}
	Reload(s.o.Client)
	if s.o.Lost != nil {
		s.o.Lost(err)
	}
	return true
}

// serve subscribes to all there is, and reads until the connection is lost. answered says that Redis has said something: one that stands
// still is connected to by the kernel.
func (l *link) serve(c *conn) (answered bool, err error) {
	ctx, cancel := context.WithCancel(l.s.ctx)
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	l.s.mu.Lock()
	for _, e := range l.subs {
		e.sent = false
		l.s.mark(e)
	}
	l.s.mu.Unlock()
	written := make(chan struct{})
	go func() {
		defer close(written)
		if err := l.write(ctx, c); err != nil {
			_ = c.Close()
		}
	}()
	defer func() {
		cancel()
		_ = c.Close()
		<-written
	}()
	for {
		p, err := c.next(3 * l.s.o.Beat)
		refused := l.s.o.Sharded && Refused(err) && Passing(err)
		if !answered && (err == nil || refused) {
			answered = true
			l.s.mu.Lock()
			l.err = nil
			l.s.mu.Unlock()
		}
		switch {
		case err == nil:
			err = l.take(p)
		case refused:
			l.astray()
			err = nil
		}
		if err != nil {
			return answered, err
		}
	}
}

// take hands over what came.
func (l *link) take(p push) error {
	s := l.s
	switch p.kind {
	case "message", "smessage":
		if h := l.handler(p.channel, false); h != nil {
			switch {
			case p.tooLong:
				p.payload = nil
			case p.payload == nil:
				p.payload = []byte{}
			}
			h.Message(p.payload)
		}
	case "subscribe", "ssubscribe":
		if h := l.handler(p.channel, true); h != nil {
			h.Ready()
		}
	case "sunsubscribe":
		s.mu.Lock()
		if e := l.subs[string(p.channel)]; e != nil && e.handler != nil && e.settled { // its slot has moved
			e.sent, e.settled = false, false
			Reload(s.o.Client)
			s.reroute()
		}
		s.mu.Unlock()
	case "unsubscribe", "pong", "":
	default:
		return errProtocol
	}
	return nil
}

// astray has the router look after channels that Redis has not confirmed.
func (l *link) astray() {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.refused = true
	Reload(l.s.o.Client)
	l.s.reroute()
}

func (l *link) handler(channel []byte, settle bool) Handler {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	e := l.subs[string(channel)]
	if e == nil {
		return nil
	}
	if settle && e.sent {
		e.settled = true
	}
	return e.handler
}

// write tells Redis what is wanted, and that somebody is there.
func (l *link) write(ctx context.Context, c *conn) error {
	beat := time.NewTicker(l.s.o.Beat)
	defer beat.Stop()
	own := ""
	if l.s.o.BeatChannel != "" {
		own = l.s.o.BeatChannel + l.key
		if err := l.send(c, appendCommand(nil, "SUBSCRIBE", own)); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.kick:
			for {
				b, more := l.commands()
				if len(b) > 0 {
					if err := l.send(c, b); err != nil {
						return err
					}
				}
				if !more {
					break
				}
			}
		case <-beat.C:
			if own == "" {
				if err := l.send(c, appendCommand(nil, "PING")); err != nil {
					return err
				}
				continue
			}
			beating, cancel := context.WithTimeout(ctx, l.s.o.Beat)
			_ = l.s.o.Client.Publish(beating, own, "").Err() // where it fails the connection is given up, if nothing else comes
			cancel()
		}
	}
}

func (l *link) send(c *conn, b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(3 * l.s.o.Beat)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// atOnce is how many channels are told of at a time.
const atOnce = 256

// commands is what Redis is to be told. more says that there is more.
func (l *link) commands() (b []byte, more bool) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(l.dirty), atOnce)
	var in, out []string
	for _, e := range l.dirty[:n] {
		if e.link != l { // where it is dirty by itself
			continue
		}
		e.dirty = false
		switch {
		case e.handler == nil:
			out = append(out, e.name)
			delete(l.subs, e.name)
			delete(s.subs, e.name)
		case !e.sent:
			in = append(in, e.name)
			e.sent = true
		}
	}
	clear(l.dirty[:n])
	l.dirty = l.dirty[n:]
	if s.o.Sharded { // which have one slot in one command
		for _, name := range in {
			b = appendCommand(b, "SSUBSCRIBE", name)
		}
		for _, name := range out {
			b = appendCommand(b, "SUNSUBSCRIBE", name)
		}
		return b, len(l.dirty) > 0
	}
	if len(out) > 0 {
		b = appendCommand(b, append([]string{"UNSUBSCRIBE"}, out...)...)
	}
	if len(in) > 0 {
		b = appendCommand(b, append([]string{"SUBSCRIBE"}, in...)...)
	}
	return b, len(l.dirty) > 0
}
