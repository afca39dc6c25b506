package engineio

import "time"

// A Meter counts what passes through a [Server]. Its methods come with every message, from any goroutine and with locks held: they must
// neither block nor call the server or a session.
type Meter interface {
	// Opened and Closed are told of sessions that begin and end, over which transport.
	Opened(transport string)
	Closed(transport string, err *CloseError)
	// Received is told of messages of a client: over which transport they came, and how many bytes of data they have.
	Received(transport string, messages, bytes int)
	// Sent is told of messages to clients, those too that are dropped at the end of a session.
	Sent(transport string, messages, bytes int)
	// RoundTrip is told how long the answer to a ping took. Clients of protocol 3 are not pinged.
	RoundTrip(transport string, d time.Duration)
}

// meterSent counts messages to a session. mu is held. It is small enough to be inlined.
func (s *Session) meterSent(messages []Message) {
	if s.server.Meter != nil {
		s.tellSent(messages)
	}
}

// meterSentPrepared is meterSent for prepared messages.
func (s *Session) meterSentPrepared(p *Prepared) {
	if s.server.Meter != nil {
		s.server.Meter.Sent(s.transport(), len(p.messages), p.size)
	}
}

func (s *Session) tellSent(messages []Message) {
	s.server.Meter.Sent(s.transport(), len(messages), bytesOf(messages))
}

func bytesOf(messages []Message) (n int) {
	for i := range messages {
		n += len(messages[i].Data)
	}
	return n
}

// Stats is what a [Server] has at a moment.
type Stats struct {
	Sessions map[string]int // by the names of their transports
	Buffered int            // bytes that wait for clients to take them
}

// Stats looks at all sessions.
func (e *Server) Stats() Stats {
	e.init()
	e.mu.Lock()
	all := make([]*Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		if s != nil { // else it is about to begin
			all = append(all, s)
		}
	}
	e.mu.Unlock()
	stats := Stats{Sessions: map[string]int{Polling: 0, WebSocket: 0, WebTransport: 0}}
	for _, s := range all {
		s.mu.Lock()
		stats.Sessions[s.transport()]++
		stats.Buffered += s.buffered()
		s.mu.Unlock()
	}
	return stats
}
