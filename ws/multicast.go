package ws

import (
	"context"
	"io"
)

// Multicast sends messages, one after another, to connections of this server, as Publish does to those of a topic: it does
// not wait, the event loops send, and what comes in quick succession leaves in one write for each connection. to is the
// caller's again when Multicast returns. A connection that is in it twice gets the messages twice.
//
// For each connection, what one goroutine sends by Send, Write and Multicast leaves in that order. A connection whose
// queue is full is closed, or goes without the message, as for Publish.
func (s *Server) Multicast(to []*Socket, messages ...*PreparedMessage) {
	if len(messages) == 0 {
		return
	}
	// There are few hubs, and in most cases one: whoever is of the first one's is taken out at once.
	for len(to) > 0 {
		h := to[0].hub()
		own := make([]*Socket, 0, len(to))
		var others []*Socket
		for _, c := range to {
			if c.hub() != h {
				others = append(others, c)
				continue
			}
			c.place.casts.Add(int32(len(messages)))
			own = append(own, c)
		}
		h.cast(own, messages)
		to = others
	}
}

func (h *hub) cast(to []*Socket, messages []*PreparedMessage) {
	var room [4]publication
	all := room[:0]
	for _, m := range messages {
		all = append(all, publication{to: to, m: m})
	}
	h.mu.Lock()
	h.bytes += 8 * len(to)
	h.post(all...) // unlocks
}

// catchUp has what Multicast was given before leave before what is sent now.
func (s *Socket) catchUp() {
	if s.place.casts.Load() > 0 {
		s.hub().deliverNow()
	}
}

// Send sends a message without waiting: what the peer does not take at once is queued. When the queue is full, it
// does what Queue.Full says: it ends the connection (Close), drops the message (Drop), or waits after all (Block);
// the error then matches ErrQueueFull. A text message must be valid UTF-8.
//
// Send may be called from any goroutine; messages from one goroutine leave in the order sent. data is the caller's
// again when Send returns.
func (s *Socket) Send(t MessageType, data []byte) error {
	s.catchUp()
	return s.core.Send(t, data)
}

// SendUncompressed is Send for a message that is not to be compressed, whatever was agreed: it is compressed already, or mixes
// a secret with what others choose.
func (s *Socket) SendUncompressed(t MessageType, data []byte) error {
	s.catchUp()
	return s.core.SendUncompressed(t, data)
}

// SendPrepared is Send for a prepared message.
func (s *Socket) SendPrepared(p *PreparedMessage) error {
	s.catchUp()
	return s.core.SendPrepared(p)
}

// Write sends a message. It waits while the queue is full, but not for the peer to receive anything. If ctx is done
// first, nothing of the message has been sent and nothing will be; the connection is as it was. When Write returns
// nil the message leaves whole, unless the connection ends. A text message must be valid UTF-8.
//
// Write may be called from any goroutine; messages from one goroutine leave in the order written. data is the
// caller's again when Write returns.
func (s *Socket) Write(ctx context.Context, t MessageType, data []byte) error {
	s.catchUp()
	return s.core.Write(ctx, t, data)
}

// WritePrepared is Write for a prepared message.
func (s *Socket) WritePrepared(ctx context.Context, p *PreparedMessage) error {
	s.catchUp()
	return s.core.WritePrepared(ctx, p)
}

// Writer starts a message that is written piece by piece and returns a writer for it, which is to be closed at its end:
// see Conn.Writer.
func (s *Socket) Writer(ctx context.Context, t MessageType) (io.WriteCloser, error) {
	s.catchUp()
	return s.core.Writer(ctx, t)
}
