package client

import (
	"context"
	"errors"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/socketio/parser"
)

// outgoing is an event that waits for the connection.
type outgoing struct {
	messages []eio.Message
	size     int
	ack      *pending // nil if none is wanted
}

// flags change how an event is emitted.
type flags struct {
	volatile bool
	timeout  time.Duration
	retried  bool // it is one of Socket.retries
}

// Operator is a socket with flags for what is emitted by it. It is an immutable value.
type Operator struct {
	socket *Socket
	flags  flags
}

// Volatile returns an operator whose events are lost if they cannot be sent at once.
func (s *Socket) Volatile() Operator { return Operator{s, flags{volatile: true}} }

// Timeout returns an operator whose acknowledgements have to come in time.
func (s *Socket) Timeout(d time.Duration) Operator { return Operator{s, flags{timeout: d}} }

// Volatile is Socket.Volatile.
func (o Operator) Volatile() Operator { o.flags.volatile = true; return o }

// Timeout is Socket.Timeout.
func (o Operator) Timeout(d time.Duration) Operator { o.flags.timeout = d; return o }

// Emit is Socket.Emit.
func (o Operator) Emit(event string, args ...any) error {
	return o.socket.emit(o.flags, parser.EventData(event, args...), nil)
}

// EmitFunc is Socket.EmitFunc.
func (o Operator) EmitFunc(event string, then func(Args, error), args ...any) error {
	return o.socket.emit(o.flags, parser.EventData(event, args...), o.socket.inTurn(then))
}

// EmitWithAck is Socket.EmitWithAck.
func (o Operator) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return o.socket.emitWithAck(ctx, o.flags, event, args)
}

// Emit sends an event, or keeps it until the socket is connected. Arguments are what encoding/json takes, []byte anywhere in them for
// binary, and what came with other events; they are encoded before Emit returns. The error is ErrBufferFull, ErrClosed, or says what
// cannot be encoded or is too large.
func (s *Socket) Emit(event string, args ...any) error {
	return s.emit(flags{}, parser.EventData(event, args...), nil)
}

// Send emits the event message.
func (s *Socket) Send(args ...any) error { return s.Emit("message", args...) }

// EmitFunc emits an event, and has then called with its acknowledgement, or with ErrTimeout (see Timeout and Options.AckTimeout) or
// ErrDisconnected. It has its turn like a handler. It is not called if EmitFunc returns an error.
func (s *Socket) EmitFunc(event string, then func(Args, error), args ...any) error {
	return s.emit(flags{}, parser.EventData(event, args...), s.inTurn(then))
}

// EmitWithAck emits an event and waits for its acknowledgement. A handler may do so. The error is that of ctx, ErrTimeout,
// ErrDisconnected, or as of Emit.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitWithAck(ctx, flags{}, event, args)
}

// Call emits an event and decodes the first argument of its acknowledgement into result, which may be nil.
func Call(ctx context.Context, s *Socket, event string, result any, args ...any) error {
	answer, err := s.EmitWithAck(ctx, event, args...)
	if err != nil || result == nil {
		return err
	}
	return answer.Bind(result)
}

func (s *Socket) inTurn(then func(Args, error)) *pending {
	return &pending{then: func(a Args, err error) { s.inbox.push(0, nil, func() { then(a, err) }) }}
}

func (s *Socket) emitWithAck(ctx context.Context, f flags, event string, args []any) (Args, error) {
	type reply struct {
		args Args
		err  error
	}
	got := make(chan reply, 1)
	p := &pending{then: func(a Args, err error) { got <- reply{a, err} }}
	if err := s.emit(f, parser.EventData(event, args...), p); err != nil {
		return Args{}, err
	}
	select {
	case r := <-got:
		return r.args, r.err
	case <-ctx.Done():
		s.forget(p)
		p.end(Args{}, context.Cause(ctx))
		r := <-got // it may have come meanwhile
		return r.args, r.err
	}
}

// emit sends an event, or has it wait. ack is nil if no acknowledgement is wanted.
func (s *Socket) emit(f flags, data parser.Data, ack *pending) error {
	set := s.manager.set
	if s.manager.ctx.Err() != nil {
		return ErrClosed
	}
	if set.Retries > 0 && !f.retried && !f.volatile {
		return s.enqueue(f, data, ack)
	}
	p := parser.Packet{Type: parser.Event, Namespace: s.namespace, Data: data}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ack != nil {
		p.ID, p.HasID = s.nextID, true
		s.nextID++
	}
	messages, size, err := s.encode(&p)
	if err != nil {
		return err
	}
	s.handlers.outgoing(s, &p)
	if ack != nil {
		ack.id = p.ID
		if f.timeout == 0 {
			f.timeout = set.AckTimeout
		}
		ack.start(s, f.timeout)
		if s.acks == nil {
			s.acks = make(map[uint64]*pending)
		}
		s.acks[p.ID] = ack
	}
	switch {
	case f.volatile && !s.writable():
		s.drop(ack)
		if ack != nil {
			return ErrDisconnected // it would not come
		}
		return nil
	case f.retried && s.session == nil:
		s.drop(ack)
		return errAway
	case s.session != nil && len(s.outbox) == 0:
		if err = s.session.Send(messages...); err == nil {
			if ack != nil {
				ack.sent = true
			}
			return nil
		}
		if unfit(err) {
			s.drop(ack)
			return bufferError(err)
		}
	}
	if s.waiting > 0 && s.waiting+size > set.MaxBuffered {
		s.drop(ack)
		return ErrBufferFull
	}
	s.outbox = append(s.outbox, &outgoing{messages, size, ack})
	s.waiting += size
	s.flush()
	return nil
}

// maxBehind is how much may be on its way to a WebSocket that is written to by somebody else, as those over TLS are.
const maxBehind = 16 << 10

// writable says whether what is sent now leaves now. The caller holds mu.
func (s *Socket) writable() bool {
	if s.session == nil {
		return false
	}
	behind := s.session.Buffered()
	return behind == 0 || behind <= maxBehind && s.session.Transport() == eio.WebSocket
}

// unfit says whether a session goes on after an error of sending.
func unfit(err error) bool {
	return errors.Is(err, eio.ErrTooLarge) || errors.Is(err, eio.ErrBufferFull)
}

// drop has nobody wait for an acknowledgement any more, without a word. The caller holds mu.
func (s *Socket) drop(ack *pending) {
	if ack != nil {
		delete(s.acks, ack.id)
		ack.stop()
	}
}

// flush sends what waits, if the socket is connected, as far as the session takes it. The caller holds mu.
func (s *Socket) flush() {
	if s.session == nil {
		return
	}
	for len(s.outbox) > 0 {
		o := s.outbox[0]
		over := o.ack != nil && o.ack.over.Load()
		if !over {
			err := s.session.Send(o.messages...)
			switch {
			case errors.Is(err, eio.ErrTooLarge): // for this server
				s.lose(o, err)
			case err != nil:
				return
			case o.ack != nil:
				o.ack.sent = true
			}
		}
		s.waiting -= o.size
		s.outbox[0] = nil
		s.outbox = s.outbox[1:]
	}
	s.outbox = nil
}

// lose gives up an event that was taken, and cannot be sent. The caller holds mu.
func (s *Socket) lose(o *outgoing, err error) {
	s.manager.set.Logger.Error("event not sent", "namespace", s.namespace, "bytes", o.size, "error", err)
	if o.ack != nil {
		s.drop(o.ack)
		s.inbox.push(0, nil, func() { o.ack.end(Args{}, err) })
	}
}
