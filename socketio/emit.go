package socketio

import (
	"context"
	"sync"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// Flags change how an event is emitted.
type Flags struct {
	Volatile   bool          // it may be lost when the client is not ready for it
	Local      bool          // to clients of this server only
	Uncompress bool          // without compression (compress: false)
	Timeout    time.Duration // of acknowledgements; 0: none
}

// Emit sends an event. Arguments are what encoding/json takes, []byte anywhere in them for binary, and what came with other
// events. The error is ErrDisconnected, or says what cannot be encoded.
func (s *Socket) Emit(event string, args ...any) error { return s.emit(Flags{}, event, args, 0, false) }

// Send emits the event message.
func (s *Socket) Send(args ...any) error { return s.Emit("message", args...) }

// EmitWithAck sends an event and waits for its acknowledgement. A handler may do so, unless Options.Engine.Inline. The error is
// that of ctx, ErrTimeout, ErrDisconnected or ErrTooManyAcks, or says what cannot be encoded.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitWithAck(ctx, Flags{}, event, args)
}

// EmitFunc sends an event; then is called with its acknowledgement, or with ErrTimeout (see Timeout) or ErrDisconnected. It
// has its turn like a handler. It is not called if EmitFunc returns an error.
func (s *Socket) EmitFunc(event string, then func(Args, error), args ...any) error {
	return s.emitFunc(Flags{}, event, args, then)
}

// Volatile returns an operator whose events may be lost when the client is not ready for them.
func (s *Socket) Volatile() SocketOperator { return SocketOperator{s, Flags{Volatile: true}} }

// Compress returns an operator whose events are compressed, where there is compression at all, or not.
func (s *Socket) Compress(compress bool) SocketOperator {
	return SocketOperator{s, Flags{Uncompress: !compress}}
}

// Timeout returns an operator whose acknowledgements have to come in time.
func (s *Socket) Timeout(d time.Duration) SocketOperator { return SocketOperator{s, Flags{Timeout: d}} }

// Local returns an operator that broadcasts to clients of this server only, except the socket's.
func (s *Socket) Local() BroadcastOperator { return s.others(Flags{Local: true}) }

// To returns an operator that broadcasts to all that are in any of the rooms, except the socket.
func (s *Socket) To(rooms ...string) BroadcastOperator { return s.others(Flags{}).To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) BroadcastOperator { return s.To(rooms...) }

// Except returns an operator that broadcasts to all that are in none of the rooms, except the socket.
func (s *Socket) Except(rooms ...string) BroadcastOperator { return s.others(Flags{}).Except(rooms...) }

// Broadcast returns an operator that broadcasts to all sockets of the namespace, except this one.
func (s *Socket) Broadcast() BroadcastOperator { return s.others(Flags{}) }

func (s *Socket) others(f Flags) BroadcastOperator {
	return BroadcastOperator{of: s.nsp, except: []string{s.id}, flags: f}
}

// SocketOperator is a socket with flags for what is emitted to it. It is an immutable value.
type SocketOperator struct {
	socket *Socket
	flags  Flags
}

// Volatile is Socket.Volatile.
func (o SocketOperator) Volatile() SocketOperator { o.flags.Volatile = true; return o }

// Compress is Socket.Compress.
func (o SocketOperator) Compress(compress bool) SocketOperator {
	o.flags.Uncompress = !compress
	return o
}

// Timeout is Socket.Timeout.
func (o SocketOperator) Timeout(d time.Duration) SocketOperator { o.flags.Timeout = d; return o }

// Emit is Socket.Emit.
func (o SocketOperator) Emit(event string, args ...any) error {
	return o.socket.emit(o.flags, event, args, 0, false)
}

// Send emits the event message.
func (o SocketOperator) Send(args ...any) error { return o.Emit("message", args...) }

// EmitWithAck is Socket.EmitWithAck.
func (o SocketOperator) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return o.socket.emitWithAck(ctx, o.flags, event, args)
}

// EmitFunc is Socket.EmitFunc.
func (o SocketOperator) EmitFunc(event string, then func(Args, error), args ...any) error {
	return o.socket.emitFunc(o.flags, event, args, then)
}

// To is Socket.To. The flags are kept.
func (o SocketOperator) To(rooms ...string) BroadcastOperator {
	return o.socket.others(o.flags).To(rooms...)
}

// In is To.
func (o SocketOperator) In(rooms ...string) BroadcastOperator { return o.To(rooms...) }

// Except is Socket.Except.
func (o SocketOperator) Except(rooms ...string) BroadcastOperator {
	return o.socket.others(o.flags).Except(rooms...)
}

// Broadcast is Socket.Broadcast.
func (o SocketOperator) Broadcast() BroadcastOperator { return o.socket.others(o.flags) }

// Local is Socket.Local.
func (o SocketOperator) Local() BroadcastOperator {
	f := o.flags
	f.Local = true
	return o.socket.others(f)
}

func (s *Socket) emit(f Flags, event string, args []any, ack uint64, wanted bool) error {
	if s.state.Load() == ended {
		return ErrDisconnected
	}
	p := parser.Packet{Type: parser.Event, Namespace: s.nsp.name, ID: ack, HasID: wanted, Data: parser.EventData(event, args...)}
	if s.nsp.server.outgoing.Load() > 0 {
		q := p // p itself does not escape
		s.tellOutgoing(&q)
	}
	// What is emitted to a client that is just coming back has its place behind what that has missed.
	if s.nsp.recovery() != nil && !wanted && !f.Volatile && (s.recovered || s.state.Load() == connected) {
		q := p
		return s.nsp.adapter.Broadcast(&q, &BroadcastOptions{Rooms: []string{s.id}, Flags: f, told: true})
	}
	if f.Volatile && !s.session.Writable() {
		return nil
	}
	return s.client.send(p, f.Uncompress)
}

// OnAnyOutgoing registers a handler of all events that are emitted to the socket, by broadcasts as well, and returns what removes
// it again. It is called by whoever emits, and must not block.
func (s *Socket) OnAnyOutgoing(handle func(*Event)) (remove func()) {
	m, h := s.extra(), &handler{call: handle}
	s.mu.Lock()
	if s.state.Load() != ended { // nobody would take it back
		m.outgoing = append(m.outgoing, h)
		s.nsp.server.outgoing.Add(1)
	}
	s.mu.Unlock()
	return func() { s.removeOutgoing(func(other *handler) bool { return other == h }) }
}

// OffAnyOutgoing removes the handlers of OnAnyOutgoing.
func (s *Socket) OffAnyOutgoing() { s.removeOutgoing(func(*handler) bool { return true }) }

func (s *Socket) removeOutgoing(match func(*handler) bool) {
	m := s.more.Load()
	if m == nil {
		return
	}
	s.mu.Lock()
	before := len(m.outgoing)
	m.outgoing = without(m.outgoing, match)
	removed := before - len(m.outgoing)
	s.mu.Unlock()
	s.nsp.server.outgoing.Add(-int32(removed))
}

// tellOutgoing tells the handlers of OnAnyOutgoing of a packet.
func (s *Socket) tellOutgoing(p *parser.Packet) {
	m := s.more.Load()
	if m == nil {
		return
	}
	s.mu.Lock()
	all := m.outgoing
	s.mu.Unlock()
	for _, h := range all {
		copied := *p
		copied.HasID = false
		s.guard(func() { h.call(&Event{socket: s, packet: copied}) })
	}
}

// outbox is what a packet is encoded with.
type outbox struct {
	packet   parser.Packet
	bytes    []byte
	messages []parser.Message
	out      []engineio.Message
}

// keepBytes is up to how many bytes an outbox keeps.
const keepBytes = 64 << 10

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// send sends a packet.
func (c *client) send(p parser.Packet, uncompressed bool) error {
	b := outboxes.Get().(*outbox)
	defer b.free()
	b.packet, b.bytes = p, b.bytes[:0]
	var err error
	if b.messages, err = c.server.set.Parser.Encode(b.messages[:0], &b.bytes, &b.packet); err != nil {
		return err
	}
	b.out = engineMessages(b.out[:0], b.messages, uncompressed)
	if err = c.session.Send(b.out...); err == engineio.ErrClosed {
		return ErrDisconnected
	}
	return err
}

func (b *outbox) free() {
	clear(b.messages)
	clear(b.out)
	b.packet = parser.Packet{}
	if cap(b.bytes) > keepBytes {
		b.bytes = nil
	}
	outboxes.Put(b)
}

func engineMessages(dst []engineio.Message, messages []parser.Message, uncompressed bool) []engineio.Message {
	for _, m := range messages {
		dst = append(dst, engineio.Message{Binary: m.Binary, Data: m.Data, Uncompressed: uncompressed})
	}
	return dst
}
