package engineio

import (
	"sync"

	"baro.dev/engineio/internal/payload"
	"baro.dev/ws"
)

// recipients are the WebSockets that a broadcast goes to, those of one format apart.
type recipients [4][]*ws.Socket

var recipientsPool = sync.Pool{New: func() any { return new(recipients) }}

// Broadcast sends prepared messages to many sessions: those over WebSocket get them from the event loops, so that what is
// broadcast in quick succession leaves in one write for each. A volatile broadcast leaves out the sessions that are not
// Writable. A session that has ended is left out, and one for which too much waits is closed. to is the caller's again when
// Broadcast returns.
//
// For each session, what one goroutine sends, by whatever method, leaves in that order.
func (e *Server) Broadcast(to []*Session, p *Prepared, volatile bool) {
	e.init()
	all := recipientsPool.Get().(*recipients)
	sockets := 0
	for _, s := range to {
		s.mu.Lock()
		if s.state != open || volatile && !s.writable() {
			s.mu.Unlock()
			continue
		}
		switch l := s.link.(type) {
		case socketLink:
			all[s.format] = append(all[s.format], l.Socket)
			sockets++
			s.mu.Unlock()
		case nil:
			s.meterSentPrepared(p)
			_ = s.added(s.poll.addPrepared(p)) // unlocks
		default:
			s.meterSentPrepared(p)
			_ = l.sendPrepared(p)
			s.mu.Unlock()
		}
	}
	if e.Meter != nil && sockets > 0 {
		e.Meter.Sent(WebSocket, sockets*len(p.messages), sockets*p.size)
	}
	for format, sockets := range all {
		if len(sockets) == 0 {
			continue
		}
		if m, err := p.webSocket(payload.Format(format)); err == nil {
			e.ws.Multicast(sockets, m)
		}
		clear(sockets)
		all[format] = sockets[:0]
	}
	recipientsPool.Put(all)
}
