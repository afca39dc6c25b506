package server

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/engineio"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

// state is what metrics ask for when somebody scrapes.
func (s *Server) state() metrics.State {
	ready, _ := s.ready()
	_, users := s.registry.Len()
	hub, engine := s.hub.Stats(), s.socketIO.io.Engine().Stats()
	state := metrics.State{
		Ready: ready, Users: users, Channels: hub.Channels, Subscriptions: hub.Subscriptions,
		QueueBytes: s.sockets.plain.Buffered() + s.sockets.envelope.Buffered() + s.multiplex.sockets.Buffered() + engine.Buffered +
			s.streams.waiting() + s.following.waiting(),
		SocketIO: map[metrics.Transport]int{},
	}
	for name, sessions := range engine.Sessions {
		state.SocketIO[socketTransport(name)] = sessions
	}
	s.joined.tell(&state)
	s.backends.tell(&state)
	if s.certificates != nil {
		state.CertificateExpiry = s.certificates.Expiry()
	}
	return state
}

// accepted is for [http.Server.ConnContext].
func (s *Server) accepted(ctx context.Context, conn net.Conn) context.Context {
	s.metrics.Accepted("public")
	return s.connections.accepted(ctx, conn)
}

// keepalive is how WebSockets are pinged.
func (s *Server) keepalive(t metrics.Transport) ws.Keepalive {
	return ws.Keepalive{
		Interval: s.config.Heartbeat, Timeout: s.config.WriteTimeout,
		OnPong: func(roundTrip time.Duration) { s.metrics.RoundTrip(t, roundTrip) },
	}
}

// isPosition says whether a client has named a place that it has been at.
func isPosition(from channel.From) bool { return from != channel.Now() && from != channel.Oldest() }

// recovered counts a client that comes from a position, by what it has got.
func (s *Server) recovered(t metrics.Transport, err error) {
	lost := errors.Is(err, channel.ErrNotRecoverable) || errors.Is(err, clients.ErrGone)
	if err == nil || lost {
		s.metrics.Recovered(t, !lost)
	}
}

// closeCode is the close code that a WebSocket has ended with.
func closeCode(err error) string {
	if code := ws.CloseStatus(err); code != 0 {
		return strconv.Itoa(int(code))
	}
	if errors.Is(err, ws.ErrClosed) {
		return "server"
	}
	return "error"
}

// endOf says why a stream has ended.
func (s *Server) endOf(who *follower, q *queue) string {
	switch {
	case q.overflowed():
		return "slow"
	case s.draining.Err() != nil || who.isOver():
		return "server"
	}
	return "client"
}

// transportOf is the transport of a client, by the name that backends know it by.
func transportOf(name string) metrics.Transport {
	switch name {
	case "ws":
		return metrics.Multiplex
	case "sse":
		return metrics.SSE
	case "ndjson":
		return metrics.NDJSON
	case "socket.io":
		return metrics.SocketIOWebSocket
	}
	return metrics.WebSocket
}

// socketMeter counts what goes over Socket.IO.
type socketMeter struct{ *metrics.Metrics }

func socketTransport(name string) metrics.Transport {
	switch name {
	case engineio.WebSocket:
		return metrics.SocketIOWebSocket
	case engineio.Polling:
		return metrics.SocketIOPolling
	}
	return metrics.SocketIOWebTransport
}

// Opened implements [engineio.Meter], as do those below.
func (m socketMeter) Opened(transport string) { m.Metrics.Opened(socketTransport(transport)) }

// Closed says why, in few words.
func (m socketMeter) Closed(transport string, err *engineio.CloseError) {
	t := socketTransport(transport)
	why := "client"
	switch {
	case errors.Is(err, engineio.ErrBufferFull):
		why = "slow"
		m.SlowConsumer(t)
	case err.Reason == engineio.ForcedClose, err.Reason == engineio.ServerClose:
		why = "server"
	case err.Reason == engineio.PingTimeout:
		why = "timeout"
	case err.Reason == engineio.TransportError, err.Reason == engineio.ParseError:
		why = "error"
	}
	m.Metrics.Closed(t, why)
}

// Received counts messages.
func (m socketMeter) Received(transport string, messages, bytes int) {
	m.Metrics.Received(socketTransport(transport), messages, bytes)
}

// Sent counts messages.
func (m socketMeter) Sent(transport string, messages, bytes int) {
	m.Metrics.Sent(socketTransport(transport), messages, bytes)
}

// RoundTrip measures a ping.
func (m socketMeter) RoundTrip(transport string, d time.Duration) {
	m.Metrics.RoundTrip(socketTransport(transport), d)
}

// following are the queues of streams that have a goroutine each.
type following struct {
	mu     sync.Mutex
	queues map[*queue]struct{}
}

// add adds a queue, until what it returns is called.
func (f *following) add(q *queue) (remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queues == nil {
		f.queues = map[*queue]struct{}{}
	}
	f.queues[q] = struct{}{}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.queues, q)
	}
}

// waiting is how many bytes wait in all.
func (f *following) waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for q := range f.queues {
		n += q.waiting()
	}
	return n
}
