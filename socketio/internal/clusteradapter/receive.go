package clusteradapter

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
)

// Receive takes a whole message from the wire. It has to be called by one goroutine at a time, for what one server has sent in the
// order in which it was sent. data is not used any more after it has returned. What is no message of this cluster is counted
// and told to the logger, no more.
func (a *Adapter) Receive(data []byte) {
	if len(data) > a.options.MaxBytes {
		a.Ignore(wrong("it has %d bytes", len(data)))
		return
	}
	m, err := Parse(data)
	if err != nil {
		a.Ignore(err)
		return
	}
	a.ReceiveMessage(m, "")
}

// Ignore counts something from the wire that is no message of this cluster.
func (a *Adapter) Ignore(err error) {
	a.count.ignored.Add(1)
	a.log.warn("messages on the wire that are not understood", "error", err)
}

// ReceiveMessage is Receive for a message that has been parsed. offset is added to an event that is neither volatile nor to be
// acknowledged, for connection state recovery; "": none.
func (a *Adapter) ReceiveMessage(m *Message, offset string) {
	if m.UID == a.uid || m.Namespace != a.Namespace().Name() {
		return
	}
	a.count.received.Add(1)
	if a.beats != nil {
		a.beats.heard(m)
	}
	if err := a.take(m, offset); err != nil {
		a.Ignore(err)
	}
}

// Deliver sends a broadcast that came to the sockets of this server, whoever has sent it.
func (a *Adapter) Deliver(m *Message, offset string) error {
	if !a.Concerns(m.Options.Rooms) {
		a.count.elsewhere.Add(1)
		return nil
	}
	p, err := m.event(nil)
	if err != nil {
		return err
	}
	if offset != "" && !m.Options.Flags.Volatile {
		p.Data = p.Data.Append(offset)
	}
	return a.MemoryAdapter.Broadcast(p, own(m.Options))
}

func (a *Adapter) take(m *Message, offset string) error {
	switch m.Type {
	case Broadcast:
		if m.RequestID == "" {
			return a.Deliver(m, offset)
		}
		p, err := m.event(nil)
		if err != nil {
			return err
		}
		return a.serve(m, p)
	case SocketsJoin:
		a.MemoryAdapter.AddSockets(own(m.Options), ownStrings(m.Rooms))
	case SocketsLeave:
		a.MemoryAdapter.DelSockets(own(m.Options), ownStrings(m.Rooms))
	case DisconnectSockets:
		o, closeClients := own(m.Options), m.Close
		a.later(&a.endings, func() { a.MemoryAdapter.DisconnectSockets(o, closeClients) })
	case FetchSockets:
		return a.fetch(m)
	case ServerSideEmit:
		return a.serverEvent(m)
	case FetchSocketsResponse, ServerSideEmitResponse:
		return a.responded(m)
	case BroadcastClientCount, BroadcastAck:
		a.acknowledged(m)
	}
	return nil
}

// later has something done by another goroutine, which may wait for what the receiving one does.
func (a *Adapter) later(s *serial, f func()) {
	if !s.run(f) {
		a.count.overloaded.Add(1)
		a.log.warn("events for servers come faster than they are handled")
	}
}

func (a *Adapter) fetch(m *Message) error {
	sockets, err := a.MemoryAdapter.FetchSockets(context.Background(), own(m.Options))
	if err != nil {
		return fmt.Errorf("sockets for another server: %w", err)
	}
	answer := a.Message(FetchSocketsResponse)
	answer.RequestID, answer.Sockets = strings.Clone(m.RequestID), sockets
	a.respond(strings.Clone(m.UID), answer)
	return nil
}

func (a *Adapter) serverEvent(m *Message) error {
	event, err := m.serverEvent(nil)
	if err != nil {
		return err
	}
	var answer func(any)
	if m.RequestID != "" {
		to, id := strings.Clone(m.UID), strings.Clone(m.RequestID)
		var answered atomic.Bool
		answer = func(v any) {
			if answered.CompareAndSwap(false, true) {
				response := a.Message(ServerSideEmitResponse)
				response.RequestID, response.Value = id, v
				a.respond(to, response)
			}
		}
	}
	a.later(&a.events, func() { a.Namespace().ServerSideEvent(event, answer) })
	return nil
}
