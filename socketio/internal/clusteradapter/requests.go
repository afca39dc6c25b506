package clusteradapter

import (
	"context"
	"errors"
	"slices"
	"strings"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// ErrClosed is what requests end with when their adapter is closed.
var ErrClosed = errors.New("clusteradapter: closed")

// request is a question to all other servers. The mutex of the adapter guards it.
type request struct {
	missing  map[string]bool // who has not answered yet; nil: only their number is known
	expected int             // -1: not known yet
	answered map[string]bool
	values   []parser.Value
	sockets  []*socketio.RemoteSocket
	err      error
	ended    bool
	done     chan struct{}
}

func (r *request) end(err error) {
	if !r.ended {
		r.ended, r.err = true, err
		close(r.done)
	}
}

// check ends it if nobody is waited for.
func (r *request) check() {
	switch {
	case r.expected < 0:
	case r.missing != nil && len(r.missing) == 0, r.missing == nil && len(r.answered) >= r.expected:
		r.end(nil)
	}
}

// expect says who is asked.
func (r *request) expect(s Servers) {
	r.expected = s.Count - 1
	if s.Others != nil {
		r.expected = len(s.Others)
		r.missing = map[string]bool{}
		for _, uid := range s.Others {
			if !r.answered[uid] {
				r.missing[uid] = true
			}
		}
	}
	r.check()
}

// from notes that a server has answered, and reports whether its answer is wanted.
func (r *request) from(uid string) bool {
	if r.ended || r.answered[uid] || r.missing != nil && !r.missing[uid] {
		return false
	}
	r.answered[uid] = true
	delete(r.missing, uid)
	return true
}

// ask sends a request and waits for the answers: of all servers that live, or until ctx is done. What has come is in the request,
// which is the caller's then.
func (a *Adapter) ask(ctx context.Context, m *Message) (*request, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, a.options.RequestTimeout, socketio.ErrTimeout)
		defer cancel()
	}
	r := &request{expected: -1, answered: map[string]bool{}, done: make(chan struct{})}
	m.RequestID = newID()
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return r, ErrClosed
	}
	a.requests[m.RequestID] = r
	a.mu.Unlock()
	err := a.await(ctx, m, r)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.requests, m.RequestID)
	r.ended = true
	if err == nil {
		err = r.err
	}
	if err == nil {
		return r, nil
	}
	missing := make([]string, 0, len(r.missing))
	for uid := range r.missing {
		missing = append(missing, uid)
	}
	slices.Sort(missing)
	return r, &socketio.ServersError{Answered: len(r.answered), Missing: max(0, r.expected-len(r.answered)), Servers: missing, Err: err}
}

func (a *Adapter) await(ctx context.Context, m *Message, r *request) error {
	servers, err := a.servers(ctx)
	if err != nil {
		return err
	}
	if servers.Count <= 1 {
		return nil
	}
	a.mu.Lock()
	r.expect(servers) // before anybody can have gone
	a.mu.Unlock()
	if err := a.Publish(m); err != nil {
		return err
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// FetchSockets returns the sockets of all servers. If some have not answered the error is a *socketio.ServersError, and the
// sockets of the others are returned with it.
func (a *Adapter) FetchSockets(ctx context.Context, o *socketio.BroadcastOptions) ([]*socketio.RemoteSocket, error) {
	all, err := a.MemoryAdapter.FetchSockets(ctx, o)
	if o.Flags.Local || err != nil {
		return all, err
	}
	m := a.Message(FetchSockets)
	m.Options = o
	r, err := a.ask(ctx, m)
	return append(all, r.sockets...), err
}

// ServerSideEmit sends an event to the other servers. If some have not answered the error is a *socketio.ServersError, and the
// values of the others are returned with it.
func (a *Adapter) ServerSideEmit(ctx context.Context, event parser.Data, acknowledged bool) ([]parser.Value, error) {
	m := a.Message(ServerSideEmit)
	m.Event = event
	if !acknowledged {
		return nil, a.Publish(m)
	}
	r, err := a.ask(ctx, m)
	return r.values, err
}

// Gone tells that a server has gone: it is not waited for any more.
func (a *Adapter) Gone(uid string) {
	a.mu.Lock()
	for _, r := range a.requests {
		if r.missing[uid] {
			delete(r.missing, uid)
			r.expected--
			r.check()
		}
	}
	acks := make([]*ackRequest, 0, len(a.acks))
	for _, r := range a.acks {
		acks = append(acks, r)
	}
	a.mu.Unlock()
	for _, r := range acks {
		r.gone(uid)
	}
}

// responded takes an answer to a request.
func (a *Adapter) responded(m *Message) error {
	a.mu.Lock()
	r := a.requests[m.RequestID]
	a.mu.Unlock()
	if r == nil {
		return nil // too late
	}
	var sockets []*socketio.RemoteSocket
	var value parser.Value
	if m.Type == FetchSocketsResponse {
		var err error
		if sockets, err = m.remote(); err != nil {
			return err
		}
	} else {
		value = m.answer()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !r.from(strings.Clone(m.UID)) {
		return nil
	}
	if m.Type == FetchSocketsResponse {
		r.sockets = append(r.sockets, sockets...)
	} else {
		r.values = append(r.values, value)
	}
	r.check()
	return nil
}
