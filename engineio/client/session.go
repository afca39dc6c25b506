package client

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"baro.dev/engineio/internal/payload"
)

// Session is a session with a server. [Dial] makes it.
type Session struct {
	set *settings

	// As the server has said.
	id         string
	upgrades   []string
	patience   time.Duration // until the next ping
	maxPayload int           // 0: none was told

	ctx    context.Context // of what waits for the network
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu        sync.Mutex
	link      link
	transport string
	next      link // that the session goes over to
	heir      string
	queue     []payload.Packet // that wait, oldest first
	queued    int              // their bytes
	pumping   bool             // a goroutine sends
	paused    bool             // nothing is sent, for the transport is about to change
	quiet     sync.Cond        // told when pumping ends
	closing   bool
	timer     *time.Timer // until the next ping is late
}

// packetOverhead is about what a packet takes that waits, beside its bytes.
const packetOverhead = 64

// begin has the session live.
func (s *Session) begin() {
	s.quiet.L = &s.mu
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.timer = time.AfterFunc(s.patience, func() { s.cancel(ErrPingTimeout) })
	// A link that is cut ends what waits for it, whoever has ended the session.
	context.AfterFunc(s.ctx, s.cut)
	go s.run()
	if targets := s.targets(); len(targets) > 0 {
		go s.upgrade(targets)
	}
}

// ID returns the id that the server has given the session: a secret.
func (s *Session) ID() string { return s.id }

// Transport returns the name of the transport that is used at present.
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport
}

// Done is closed when the session has ended, all its goroutines, and OnClose.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session has ended or is ending; nil while it is open.
func (s *Session) Err() error { return context.Cause(s.ctx) }

// Buffered returns how many bytes wait that were sent and have not been taken by the transport, or the network.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.link.(*webSocket); ok {
		return s.queued + l.conn.Buffered()
	}
	return s.queued
}

// sizeOf is how large a message is for the server. The caller holds mu.
func (s *Session) sizeOf(m Message) int {
	if s.transport == Polling {
		return s.set.format.PacketSize(m.packet(), false) // binary is base64 there
	}
	return s.set.format.MessageSize(m.packet())
}

// Send sends messages, with nothing between them. It does not wait: what cannot leave at once is queued. The data is the caller's
// again when it returns. The error is ErrBufferFull, ErrTooLarge, or why the session has ended; none of the messages was sent then, or
// it ended half-way.
func (s *Session) Send(messages ...Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.ctx.Err() != nil {
		return s.ended()
	}
	size := 0
	for _, m := range messages {
		if s.maxPayload > 0 && s.sizeOf(m) > s.maxPayload {
			return ErrTooLarge
		}
		size += len(m.Data) + packetOverhead
	}
	if s.queued > 0 && s.queued+size > s.set.MaxBuffered {
		return ErrBufferFull
	}
	for _, m := range messages {
		if err := s.send(m.packet()); err != nil {
			return err
		}
	}
	return nil
}

func (m Message) packet() payload.Packet {
	return payload.Packet{Type: payload.Message, Binary: m.Binary, Data: m.Data}
}

func (s *Session) ended() error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	return ErrClosed
}

// send hands a packet to the link, or to the queue. The caller holds mu.
func (s *Session) send(p payload.Packet) error {
	if len(s.queue) == 0 && !s.pumping && !s.paused {
		if posted, err := s.link.post(p); posted || err != nil {
			return err
		}
	}
	p.Data = bytes.Clone(p.Data)
	s.queue = append(s.queue, p)
	s.queued += len(p.Data) + packetOverhead
	s.pump()
	return nil
}

// pump has what waits be sent, by a goroutine that lives as long as something does. The caller holds mu.
func (s *Session) pump() {
	if len(s.queue) > 0 && !s.pumping && !s.paused {
		s.pumping = true
		go s.sendQueue()
	}
}

func (s *Session) sendQueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && !s.paused && s.ctx.Err() == nil {
		packets, l := s.queue, s.link
		s.queue = nil
		s.mu.Unlock()
		err := l.write(s.ctx, packets)
		s.mu.Lock()
		for _, p := range packets {
			s.queued -= len(p.Data) + packetOverhead
		}
		if err != nil {
			s.cancel(err)
		}
	}
	s.pumping = false
	s.quiet.Broadcast()
}

// settle waits until nobody sends. The caller holds mu.
func (s *Session) settle() {
	for s.pumping {
		s.quiet.Wait()
	}
}

// run reads, and calls the handlers.
func (s *Session) run() {
	l := s.link
	for l != nil {
		if err := l.serve(s.ctx, s.receive); err != nil {
			s.end(err)
		}
		l = s.goOver()
	}
	s.timer.Stop()
	s.mu.Lock()
	s.settle()
	s.queue, s.queued = nil, 0
	s.mu.Unlock()
	defer close(s.done)
	if f := s.set.OnClose; f != nil {
		f(s, context.Cause(s.ctx))
	}
}

// end ends the session because its link has ended, which may be because this side has closed it.
func (s *Session) end(err error) {
	s.mu.Lock()
	if s.closing {
		err = ErrClosed
	}
	s.mu.Unlock()
	s.cancel(err)
}

// cut ends the links.
func (s *Session) cut() {
	s.mu.Lock()
	l, next := s.link, s.next
	s.next = nil
	s.quiet.Broadcast()
	s.mu.Unlock()
	l.cut()
	if next != nil {
		next.cut()
	}
}

// receive does what a packet says.
func (s *Session) receive(p payload.Packet) error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	switch p.Type {
	case payload.Message:
		if f := s.set.OnMessage; f != nil {
			f(s, Message{Data: p.Data, Binary: p.Binary})
		}
	case payload.Ping:
		s.timer.Reset(s.patience)
		s.mu.Lock()
		err := s.send(payload.Packet{Type: payload.Pong, Data: p.Data})
		s.mu.Unlock()
		if err != nil && !errors.Is(err, ErrBufferFull) {
			return err
		}
		if f := s.set.OnPing; f != nil {
			f(s)
		}
	case payload.Close:
		return ErrServerClosed
	case payload.Noop:
	default:
		return violation("a %v packet in an open session", p.Type)
	}
	return nil
}

// Close ends the session: what was sent leaves first, as far as ctx permits. Handlers may still be called until Done is closed, which
// Close does not wait for, so that a handler may call it. The error is that of ctx, or why the session had ended before; closing it
// again does nothing.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	again := s.closing
	s.closing = true
	s.mu.Unlock()
	if again {
		return nil
	}
	defer s.cancel(ErrClosed)
	stop := context.AfterFunc(ctx, func() { s.cancel(ErrClosed) })
	defer stop()
	s.mu.Lock()
	s.stay()
	for (s.pumping || s.paused) && s.ctx.Err() == nil {
		s.quiet.Wait()
	}
	l := s.link
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	}
	l.leave(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// CloseNow ends the session without sending what waits.
func (s *Session) CloseNow() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.cancel(ErrClosed)
}
