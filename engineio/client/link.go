package client

import (
	"context"
	"fmt"

	"baro.dev/engineio/internal/payload"
)

// A link carries the packets of a session over one transport.
type link interface {
	// open waits for the answer to the handshake: the first packet, whose data is lent until serve.
	open(ctx context.Context) (payload.Packet, error)
	// serve calls f with each packet that comes, until f returns an error, the link ends, or it has been paused: nil.
	serve(ctx context.Context, f func(payload.Packet) error) error
	// write sends packets, in order. It is called by one goroutine at a time.
	write(ctx context.Context, packets []payload.Packet) error
	// post sends a packet without waiting, and says whether it could: write does otherwise. The data is the caller's again.
	post(p payload.Packet) (bool, error)
	// leave ends the session on the part of this side; what was written is on its way.
	leave(ctx context.Context)
	// cut ends the link, and what its methods are waiting for.
	cut()
}

// dial makes the link of a transport, for a session if it has an id.
func (s *settings) dial(ctx context.Context, transport, sid string) (link, error) {
	switch transport {
	case Polling:
		return newPolling(s), nil
	case WebSocket:
		return dialWebSocket(ctx, s, sid)
	default:
		return dialStream(ctx, s, sid)
	}
}

// violation is an error of the protocol.
func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, fmt.Errorf(format, args...))
}
