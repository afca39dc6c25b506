package socketio

import (
	"sync"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// recipients are whom a broadcast goes to.
type recipients struct {
	sockets  []*Socket
	sessions []*engineio.Session
}

var recipientsPool = sync.Pool{New: func() any { return new(recipients) }}

func (r *recipients) free() {
	clear(r.sockets)
	clear(r.sessions)
	r.sockets, r.sessions = r.sockets[:0], r.sessions[:0]
	recipientsPool.Put(r)
}

// recipients returns those that something is for.
func (m *MemoryAdapter) recipients(o *BroadcastOptions) *recipients {
	r := recipientsPool.Get().(*recipients)
	m.each(o, func(s *Socket) { r.sockets = append(r.sockets, s) })
	for _, s := range r.sockets {
		r.sessions = append(r.sessions, s.session)
	}
	return r
}

// Broadcast sends an event to sockets of this server. It is encoded once.
func (m *MemoryAdapter) Broadcast(p *parser.Packet, o *BroadcastOptions) error {
	if l := m.nsp.log; l != nil && p.Type == parser.Event && !p.HasID && !o.Flags.Volatile {
		return l.broadcast(m, p, o)
	}
	to := m.recipients(o)
	defer to.free()
	if len(to.sockets) == 0 {
		return nil
	}
	encoded, err := m.nsp.server.set.Parser.Encode(nil, nil, p)
	if err != nil {
		return err
	}
	m.send(to, p, o, encoded)
	return nil
}

func (m *MemoryAdapter) send(to *recipients, p *parser.Packet, o *BroadcastOptions, encoded []parser.Message) {
	if !o.told && m.nsp.server.outgoing.Load() > 0 {
		for _, s := range to.sockets {
			s.tellOutgoing(p)
		}
	}
	messages := engineMessages(make([]engineio.Message, 0, len(encoded)), encoded, o.Flags.Uncompress)
	m.nsp.server.engine.Broadcast(to.sessions, engineio.NewPrepared(messages...), o.Flags.Volatile)
}

// BroadcastWithAck sends an event to sockets of this server and has their acknowledgements come to answer.
func (m *MemoryAdapter) BroadcastWithAck(p *parser.Packet, o *BroadcastOptions, clients func(int), answer func(Args, error)) (func(), error) {
	packet := *p
	packet.ID, packet.HasID = m.nsp.nextAck(), true
	encoded, err := m.nsp.server.set.Parser.Encode(nil, nil, &packet)
	if err != nil {
		return nil, err
	}
	to := m.recipients(o)
	defer to.free()
	clients(len(to.sockets))
	waiting := make([]*Socket, 0, len(to.sockets))
	for _, s := range to.sockets {
		if err := s.expect(pendingAck{packet.ID, answer, true}, func() {}); err != nil {
			answer(Args{}, err)
			continue
		}
		waiting = append(waiting, s)
	}
	m.send(to, &packet, o, encoded)
	return func() {
		for _, s := range waiting {
			s.takeAck(packet.ID)
		}
	}, nil
}
