package redisadapter

import (
	"context"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// ackRequest is a broadcast of this server whose acknowledgements are waited for.
type ackRequest struct {
	clients func(int)
	answer  func(socketio.Args, error)

	mu      sync.Mutex
	ended   bool
	open    bool // a client is counted for the servers that have not told how many they have
	others  int  // servers; -1: not known yet
	told    int  // of them
	waiting int  // clients of theirs that have not answered

	// early is what clients have answered whose server has not told yet how many it has. Official servers publish in a Redis Cluster by
	// different masters, so that what they say may come in any order.
	early []socketio.Args
}

// maxEarly bounds how many of them are kept.
const maxEarly = 4096

// BroadcastWithAck sends an event to sockets of all servers: see socketio.Adapter. Servers that do not tell within RequestsTimeout
// how many clients they have are one client that does not answer.
func (a *Adapter) BroadcastWithAck(p *parser.Packet, o *socketio.BroadcastOptions, clients func(int), answer func(socketio.Args, error)) (func(), error) {
	if o.Flags.Local {
		return a.MemoryAdapter.BroadcastWithAck(p, o, clients, answer)
	}
	id := newID()
	message, err := a.ackBroadcast(id, p, o)
	if err != nil {
		return nil, err
	}
	r := &ackRequest{clients: clients, answer: answer, open: true, others: -1}
	clients(1) // until the other servers have told how many they have
	a.mu.Lock()
	closed := a.closed
	if !closed {
		a.acks[id] = r
	}
	a.mu.Unlock()
	local, err := a.MemoryAdapter.BroadcastWithAck(p, o, clients, answer)
	if err != nil {
		a.forget(id)
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), a.link.set.RequestsTimeout, socketio.ErrTimeout)
	if closed {
		r.lost(ErrClosed)
	} else if err := a.link.out.publish(a.requestChannel, message); err != nil {
		r.lost(err)
	} else {
		go func() {
			others, err := a.others(ctx)
			if err != nil {
				r.lost(err)
				return
			}
			r.expect(others)
			<-ctx.Done()
			r.giveUp(context.Cause(ctx))
		}()
	}
	return func() {
		r.stop()
		cancel()
		a.forget(id)
		local()
	}, nil
}

func (a *Adapter) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.acks, id)
}

// ackBroadcast encodes a broadcast to be acknowledged.
func (a *Adapter) ackBroadcast(id string, p *parser.Packet, o *socketio.BroadcastOptions) ([]byte, error) {
	b := msgp.AppendMapHeader(nil, 5)
	b = msgp.AppendString(msgp.AppendString(b, "uid"), a.link.uid)
	b = msgp.AppendString(msgp.AppendString(b, "requestId"), id)
	b = msgp.AppendInt(msgp.AppendString(b, "type"), broadcastWithAck)
	b = msgp.AppendString(b, "packet")
	if _, err := msgpack.Codec.Encode(nil, &b, p); err != nil {
		return nil, err
	}
	return appendOptions(msgp.AppendString(b, "opts"), o), nil
}

func (r *ackRequest) expect(others int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others = others
	r.check()
}

// check stops counting a client for the servers that have not told, if all have. mu is held.
func (r *ackRequest) check() {
	if !r.ended && r.open && r.others >= 0 && r.told >= r.others {
		r.open = false
		r.clients(-1)
	}
}

// giveUp has the servers that have not told be a client that does not answer.
func (r *ackRequest) giveUp(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended && r.open {
		r.open = false
		r.answer(socketio.Args{}, &socketio.ServersError{Answered: r.told, Missing: r.others - r.told, Err: err})
	}
}

// lost says that the other servers will not answer.
func (r *ackRequest) lost(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended && r.open {
		r.open = false
		r.answer(socketio.Args{}, err)
	}
}

func (r *ackRequest) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// maxClients is how many clients a server may say it has.
const maxClients = 1 << 30

// take takes how many clients a server has, or what one of them has answered.
func (r *ackRequest) take(answer *response) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case answer.kind == broadcastClientCount && answer.clients >= 0 && answer.clients <= maxClients:
		if r.ended || r.others >= 0 && r.told >= r.others {
			return nil
		}
		r.told++
		r.waiting += int(answer.clients)
		r.clients(int(answer.clients))
		for len(r.early) > 0 && r.waiting > 0 {
			r.waiting--
			r.answer(r.early[0], nil)
			r.early = r.early[1:]
		}
		r.check()
	case answer.kind == broadcastAck:
		var args socketio.Args
		if !answer.packet.IsZero() { // else it was acknowledged with nothing
			args = parser.Values(answer.packet)
		}
		switch {
		case r.ended:
		case r.waiting > 0:
			r.waiting--
			r.answer(args, nil)
		case len(r.early) < maxEarly && (r.others < 0 || r.told < r.others):
			r.early = append(r.early, args)
		}
	default:
		return errWrong
	}
	return nil
}

// serving is a broadcast of another server whose acknowledgements go there.
type serving struct {
	adapter *Adapter
	stop    func()
	timer   *time.Timer // nil: it has not begun, or nobody is waited for

	mu      sync.Mutex
	waiting int // clients
	begun   bool
	ended   bool
}

// serve sends a broadcast of another server to sockets of this one.
func (a *Adapter) serve(r *incoming) error {
	channel := a.answerChannel(r)
	s := &serving{adapter: a}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.serving[s] = struct{}{}
	a.mu.Unlock()
	stop, err := a.MemoryAdapter.BroadcastWithAck(r.packet, &r.options, func(n int) {
		s.mu.Lock()
		s.waiting += n
		s.mu.Unlock()
		_ = a.link.out.publish(channel, encodeClientCount(r.id, n))
	}, func(args socketio.Args, err error) {
		if err == nil {
			a.acknowledge(channel, r.id, &args)
		}
		s.settled()
	})
	if err != nil {
		s.end()
		return err
	}
	s.begin(stop, r.options.Flags.Timeout)
	return nil
}

// usualWait is how long acknowledgements for another server are waited for that does not say.
const usualWait = 2 * time.Minute

func (s *serving) begin(stop func(), timeout time.Duration) {
	if timeout <= 0 {
		timeout = usualWait
	}
	s.mu.Lock()
	s.begun, s.stop = true, stop
	done, ended := s.waiting <= 0, s.ended
	if !done && !ended {
		s.timer = time.AfterFunc(timeout, s.end)
	}
	s.mu.Unlock()
	switch {
	case ended: // the adapter has been closed meanwhile
		stop()
	case done:
		s.end()
	}
}

func (s *serving) settled() {
	s.mu.Lock()
	s.waiting--
	done := s.begun && s.waiting <= 0
	s.mu.Unlock()
	if done {
		s.end()
	}
}

func (s *serving) end() {
	s.mu.Lock()
	stop, timer, ended := s.stop, s.timer, s.ended
	s.ended = true
	s.mu.Unlock()
	if ended {
		return
	}
	if timer != nil {
		timer.Stop()
	}
	if stop != nil {
		stop()
	}
	s.adapter.mu.Lock()
	delete(s.adapter.serving, s)
	s.adapter.mu.Unlock()
}

// acknowledge sends the answer of a client: its first argument, as the official adapter does.
func (a *Adapter) acknowledge(channel, id string, args *socketio.Args) {
	size := uint32(2)
	if args.Len() > 0 {
		size++
	}
	b := msgp.AppendMapHeader(nil, size)
	b = msgp.AppendInt(msgp.AppendString(b, "type"), broadcastAck)
	b = msgp.AppendString(msgp.AppendString(b, "requestId"), id)
	if args.Len() > 0 {
		with, err := msgpack.Append(msgp.AppendString(b, "packet"), args.Value(0))
		if err != nil {
			return // no value that came
		}
		b = with
	}
	_ = a.link.out.publish(channel, b)
}
