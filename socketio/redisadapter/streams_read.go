package redisadapter

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// How much of what was read last is kept, for clients that come back.
const (
	recentEntries = 1000
	recentBytes   = 1 << 20
)

// reader reads a stream, and gives each namespace what is for it. It goes on from where it was when Redis has been away.
type reader struct {
	streams *streams
	name    string
	ended   sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
	lost    atomic.Uint64

	state sync.Mutex
	err   error
	end   func() // of the command that waits

	mu       sync.Mutex // held while an entry is delivered
	adapters map[string]*StreamsAdapter
	last     string // the id of the last entry that was delivered; "": none yet
	recent   []entry
	bytes    int
	moved    chan struct{} // closed when last is another; nil: nobody waits
}

type entry struct {
	id     string
	fields map[string]any
	size   int
}

func (e *entry) field(name string) string {
	s, _ := e.fields[name].(string)
	return s
}

// join has an adapter get what is in the stream from now on.
func (s *streams) join(a *StreamsAdapter) *reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.name(a.Namespace().Name())
	r := s.readers[name]
	if r == nil {
		r = &reader{streams: s, name: name, adapters: map[string]*StreamsAdapter{}}
		r.ctx, r.cancel = context.WithCancel(context.Background())
		s.readers[name] = r
		r.ended.Go(r.run)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adapters[a.Namespace().Name()] = a
	return r
}

func (s *streams) leave(a *StreamsAdapter) {
	r := a.reader
	s.mu.Lock()
	r.mu.Lock()
	if name := a.Namespace().Name(); r.adapters[name] == a {
		delete(r.adapters, name)
	}
	last := len(r.adapters) == 0
	r.mu.Unlock()
	if last && s.readers[r.name] == r {
		delete(s.readers, r.name)
	}
	s.mu.Unlock()
	if last {
		r.cancel()
		r.state.Lock()
		end := r.end
		r.state.Unlock()
		if end != nil {
			end()
		}
		r.ended.Wait()
	}
}

func (r *reader) run() {
	delay := reconnectMin
	for r.ctx.Err() == nil {
		err := r.read(func() { delay = reconnectMin })
		if r.ctx.Err() != nil {
			return
		}
		r.note(err)
		reload(r.streams.wire.client)
		select {
		case <-time.After(delay):
		case <-r.ctx.Done():
		}
		delay = min(2*delay, reconnectMax)
	}
}

// note keeps and logs what is wrong; nil: nothing.
func (r *reader) note(err error) {
	r.state.Lock()
	before := r.err
	r.err = err
	r.state.Unlock()
	log := r.streams.set.Logger
	switch {
	case err != nil && before == nil:
		log.Error("Redis is away: a stream is not read", "stream", r.name, "error", err)
	case err == nil && before != nil:
		log.Info("Redis is back: a stream is read again", "stream", r.name)
	}
}

func (r *reader) failure() error {
	r.state.Lock()
	defer r.state.Unlock()
	return r.err
}

// node returns the server that has a key.
func (w *wire) node(ctx context.Context, key string) (*redis.Client, error) {
	if c, ok := w.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, key)
	}
	return w.client.(*redis.Client), nil
}

// read reads over one connection until it breaks.
func (r *reader) read(works func()) error {
	node, err := r.streams.wire.node(r.ctx, r.name)
	if err != nil {
		return err
	}
	own := *node.Options() // a client whose connection can be closed while a command waits
	own.PoolSize, own.MinIdleConns = 1, 0
	own.MaxRetries, own.DialerRetries = -1, 1
	own.ConnMaxLifetime, own.ConnMaxIdleTime = 0, -1
	own.Dialer = dialOnce(own.Dialer)
	own.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	conn := redis.NewClient(&own)
	end := func() { _ = conn.Close() }
	r.state.Lock()
	r.end = end
	r.state.Unlock()
	defer end()
	if err := r.find(conn); err != nil {
		return err
	}
	for r.ctx.Err() == nil {
		r.note(nil)
		works()
		got, err := conn.XRead(r.ctx, &redis.XReadArgs{
			Streams: []string{r.name, r.last}, Count: r.streams.set.ReadCount, Block: r.streams.set.BlockTime,
		}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		for _, s := range got {
			if int64(len(s.Messages)) >= min(r.streams.set.ReadCount, r.streams.set.MaxLen) { // it is behind
				if err := r.verify(conn); err != nil {
					return err
				}
			}
			for _, m := range s.Messages {
				r.deliver(entry{id: m.ID, fields: m.Values})
			}
		}
	}
	return nil
}

var errBroken = errors.New("the connection has ended")

// dialOnce connects once: a client that did so again by itself would not have it noticed what was missed meanwhile.
func dialOnce(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	var dialed atomic.Bool
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialed.Swap(true) {
			return nil, errBroken
		}
		return dial(ctx, network, addr)
	}
}

// find finds where to begin, or whether it can go on from where it was.
func (r *reader) find(conn *redis.Client) error {
	info, err := conn.XInfoStream(r.ctx, r.name).Result()
	if err != nil {
		if !strings.Contains(err.Error(), "no such key") {
			return err
		}
		info = &redis.XInfoStream{LastGeneratedID: "0-0"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first, last := info.FirstEntry.ID, info.LastGeneratedID
	switch {
	case r.last == "":
		r.move(last)
		return nil
	case compareIDs(last, r.last) < 0: // another stream: Redis has come back without it
		from := r.deliveredBefore(last)
		r.forget("Redis has come back without what was in the stream")
		r.move(from)
	case first != "" && compareIDs(first, r.last) > 0 && r.last != "0-0":
		r.forget(dropped)
	}
	return nil
}

// verify notes it if what follows the last entry that was delivered was dropped before it was read.
func (r *reader) verify(conn *redis.Client) error {
	first, err := conn.XRangeN(r.ctx, r.name, "-", "+", 1).Result()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != "0-0" && len(first) > 0 && compareIDs(first[0].ID, r.last) > 0 {
		r.forget(dropped)
	}
	return nil
}

const dropped = "entries of the stream were dropped before they were read"

// deliveredBefore is the newest entry that is known to be delivered, of those not after the last one of a stream that has come back from
// before: what follows it is new, and what is before it nobody is to get twice. mu is held.
func (r *reader) deliveredBefore(last string) string {
	for _, e := range slices.Backward(r.recent) {
		if compareIDs(e.id, last) <= 0 {
			return e.id
		}
	}
	return last
}

// move notes where it is. mu is held.
func (r *reader) move(id string) {
	if r.last = id; r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// forget notes that entries were missed. mu is held.
func (r *reader) forget(why string) {
	r.lost.Add(1)
	r.recent, r.bytes = nil, 0
	r.streams.set.Logger.Error("events of other servers are lost: "+why, "stream", r.name, "after", r.last)
}

// deliver gives an entry to its namespace.
func (r *reader) deliver(e entry) {
	for name, v := range e.fields {
		s, _ := v.(string)
		e.size += len(name) + len(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.move(e.id)
	if a := r.adapters[e.field("nsp")]; a != nil {
		a.receive(&e)
	}
	if e.field("type") != broadcastType || e.size > recentBytes/4 {
		e.fields = nil
		if e.size > recentBytes/4 { // who needs it reads it from the stream
			r.recent, r.bytes = nil, 0
			return
		}
		e.size = 0
	}
	r.recent = append(r.recent, e)
	r.bytes += e.size
	for len(r.recent) > recentEntries || r.bytes > recentBytes {
		r.bytes -= r.recent[0].size
		r.recent[0] = entry{}
		r.recent = r.recent[1:]
	}
}

const broadcastType = "3"
