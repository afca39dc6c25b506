package clusteradapter

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// ackRequest is a broadcast of this server whose acknowledgements are waited for.
type ackRequest struct {
	clients func(int)
	answer  func(socketio.Args, error)

	mu      sync.Mutex
	ended   bool
	known   bool            // who is asked
	missing map[string]bool // who has not told how many clients it has; nil: only their number is known
	count   int             // of the servers that are asked
	told    map[string]int  // how many clients of each have not answered yet
	early   map[string]int  // how many of each have answered before it has told: not all brokers keep the order
	open    bool            // somebody is still counted for the servers that have not told
}

// maxEarly bounds what is taken in the wrong order.
const maxEarly = 10_000

// BroadcastWithAck sends an event to sockets of all servers: see socketio.Adapter.
func (a *Adapter) BroadcastWithAck(p *parser.Packet, o *socketio.BroadcastOptions, clients func(int), answer func(socketio.Args, error)) (func(), error) {
	if o.Flags.Local {
		return a.MemoryAdapter.BroadcastWithAck(p, o, clients, answer)
	}
	m := a.Message(Broadcast)
	m.Packet, m.Options, m.RequestID = p, o, newID()
	r := &ackRequest{clients: clients, answer: answer, told: map[string]int{}, early: map[string]int{}, open: true}
	clients(1) // until it is known how many clients the other servers have
	a.mu.Lock()
	a.acks[m.RequestID] = r
	closed := a.closed
	a.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(context.Background(), a.options.RequestTimeout, socketio.ErrTimeout)
	stop := func() {
		cancel()
		r.stop()
		a.mu.Lock()
		delete(a.acks, m.RequestID)
		a.mu.Unlock()
	}
	local, err := a.MemoryAdapter.BroadcastWithAck(p, o, clients, answer)
	if err != nil {
		stop()
		return nil, err
	}
	if closed {
		r.lost(ErrClosed)
	} else if a.beats != nil {
		r.expect(a.servers(ctx)) // which does not wait
		a.publishWithAck(m, r)
		go r.watch(ctx)
	} else {
		a.publishWithAck(m, r)
		go func() {
			r.expect(a.transport.Servers(ctx))
			r.watch(ctx)
		}()
	}
	return func() { stop(); local() }, nil
}

func (a *Adapter) publishWithAck(m *Message, r *ackRequest) {
	if err := a.Publish(m); err != nil {
		r.lost(err)
	}
}

func (r *ackRequest) expect(s Servers, err error) {
	if err != nil {
		r.lost(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known, r.count = true, s.Count-1
	if s.Others != nil {
		r.missing = map[string]bool{}
		for _, uid := range s.Others {
			if _, told := r.told[uid]; !told {
				r.missing[uid] = true
			}
		}
	}
	r.check()
}

// check stops counting somebody for the servers that have not told, if all have. mu is held.
func (r *ackRequest) check() {
	if r.ended || !r.open || !r.known {
		return
	}
	if r.missing != nil && len(r.missing) == 0 || r.missing == nil && len(r.told) >= r.count {
		r.open = false
		r.clients(-1)
	}
}

// watch gives up waiting for servers that have not told how many clients they have.
func (r *ackRequest) watch(ctx context.Context) {
	<-ctx.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || !r.open {
		return
	}
	e := &socketio.ServersError{Answered: len(r.told), Missing: r.count - len(r.told), Err: context.Cause(ctx)}
	for uid := range r.missing {
		e.Servers = append(e.Servers, uid)
	}
	if r.missing != nil {
		e.Missing = len(r.missing)
	}
	r.open = false
	r.answer(socketio.Args{}, e)
}

// lost says that the other servers will not answer.
func (r *ackRequest) lost(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended && r.open {
		r.open = false
		r.answer(socketio.Args{}, fmt.Errorf("clusteradapter: not sent to other servers: %w", err))
	}
}

func (r *ackRequest) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// gone says that a server will not answer.
func (r *ackRequest) gone(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	gone := &socketio.ServersError{Missing: 1, Servers: []string{uid}, Err: socketio.ErrDisconnected}
	for range r.told[uid] {
		r.answer(socketio.Args{}, gone)
	}
	if r.told[uid] > 0 {
		r.told[uid] = 0
	}
	if r.missing[uid] {
		delete(r.missing, uid)
		r.check()
	}
}

// acknowledged takes how many clients a server has, or what one of them has answered.
func (a *Adapter) acknowledged(m *Message) {
	a.mu.Lock()
	r := a.acks[m.RequestID]
	a.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting, told := r.told[m.UID]
	switch {
	case r.ended:
	case r.missing != nil && !told && !r.missing[m.UID]: // nobody has asked it
	case m.Type == BroadcastAck && waiting > 0:
		r.told[m.UID]--
		r.answer(parser.Values(m.answer()), nil)
	case m.Type == BroadcastAck:
		if !told && r.early[m.UID] < maxEarly && len(r.early) < maxEarly {
			r.early[strings.Clone(m.UID)]++
			r.clients(1)
			r.answer(parser.Values(m.answer()), nil)
		}
	case !told:
		uid := strings.Clone(m.UID)
		left := max(0, m.Clients-r.early[uid])
		r.told[uid] = left
		delete(r.missing, uid)
		r.clients(left)
		r.check()
	}
}
