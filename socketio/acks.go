package socketio

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// pendingAck is an acknowledgement that is waited for.
type pendingAck struct {
	id   uint64
	then func(Args, error)
	// onArrival says that then does not block, and may be called by whoever has the answer; otherwise it has its turn among
	// the handlers.
	onArrival bool
}

func byID(a pendingAck, id uint64) int { return cmp.Compare(a.id, id) }

// expect waits for an acknowledgement. It calls begin before anybody can have it.
func (s *Socket) expect(a pendingAck, begin func()) error {
	m := s.extra()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone():
		return ErrDisconnected
	case len(m.acks) >= s.nsp.server.set.MaxPendingAcks:
		return ErrTooManyAcks
	}
	i, _ := slices.BinarySearchFunc(m.acks, a.id, byID) // ids grow: nearly always the end
	m.acks = slices.Insert(m.acks, i, a)
	begin()
	return nil
}

// takeAck takes what waits for an acknowledgement, which nobody else gets then.
func (s *Socket) takeAck(id uint64) (pendingAck, bool) {
	m := s.more.Load()
	if m == nil {
		return pendingAck{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := slices.BinarySearchFunc(m.acks, id, byID)
	if !ok {
		return pendingAck{}, false
	}
	a := m.acks[i]
	m.acks = slices.Delete(m.acks, i, i+1)
	if len(m.acks) == 0 && cap(m.acks) > 16 {
		m.acks = nil
	}
	return a, true
}

// failArrivals ends the waiting of those that want to be told on arrival.
func (s *Socket) failArrivals() {
	m := s.more.Load()
	if m == nil {
		return
	}
	s.mu.Lock()
	var failed, left []pendingAck
	for _, a := range m.acks {
		if a.onArrival {
			failed = append(failed, a)
		} else {
			left = append(left, a)
		}
	}
	m.acks = left
	s.mu.Unlock()
	for _, a := range failed {
		a.then(Args{}, ErrDisconnected)
	}
}

// failAcks ends the waiting of all, and returns those that want to be told in their turn.
func (s *Socket) failAcks() []pendingAck {
	s.failArrivals()
	m := s.more.Load()
	if m == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	late := m.acks
	m.acks = nil
	return late
}

type reply struct {
	args Args
	err  error
}

// emitWithAck emits and waits.
func (s *Socket) emitWithAck(ctx context.Context, f Flags, event string, args []any) (Args, error) {
	ctx, cancel := within(ctx, f.Timeout)
	defer cancel()
	got := make(chan reply, 1)
	id := s.nsp.nextAck()
	err := s.expect(pendingAck{id, func(a Args, err error) { got <- reply{a, err} }, true}, func() {})
	if err != nil {
		return Args{}, err
	}
	if err := s.emit(f, event, args, id, true); err != nil {
		s.takeAck(id)
		return Args{}, err
	}
	select {
	case r := <-got:
		return r.args, r.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if _, waiting := s.takeAck(id); !waiting {
		r := <-got // it has come meanwhile
		return r.args, r.err
	}
	return Args{}, err
}

// emitFunc emits and has then called.
func (s *Socket) emitFunc(f Flags, event string, args []any, then func(Args, error)) error {
	id := s.nsp.nextAck()
	a := pendingAck{id: id, then: then}
	begin := func() {}
	if f.Timeout > 0 {
		var t *time.Timer
		begin = func() {
			t = time.AfterFunc(f.Timeout, func() {
				if _, waiting := s.takeAck(id); waiting {
					s.client.run.Lock()
					defer s.client.run.Unlock()
					s.guard(func() { then(Args{}, ErrTimeout) })
				}
			})
		}
		a.then = func(args Args, err error) {
			t.Stop()
			then(args, err)
		}
	}
	if err := s.expect(a, begin); err != nil {
		return err
	}
	if err := s.emit(f, event, args, id, true); err != nil {
		s.takeAck(id)
		return err
	}
	return nil
}
