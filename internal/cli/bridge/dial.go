package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// choice is a target that was chosen, and its addresses where they have been looked up.
type choice struct {
	Endpoint
	addresses []netip.AddrPort
}

// connect connects to a target that is a stream.
func (b *Bridge) connect(ctx context.Context, to choice) (stream, error) {
	if to.Kind == Stdio {
		return &stdio{Reader: b.c.Stdin, out: b.c.Stdout}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.c.ConnectTimeout)
	defer cancel()
	addresses := []string{to.Addr}
	if to.addresses != nil {
		addresses = addresses[:0]
		for _, a := range to.addresses {
			addresses = append(addresses, a.String())
		}
	}
	var errs []error
	for _, addr := range addresses {
		c, err := b.dialer.DialContext(ctx, string(to.Kind), addr)
		if err == nil {
			return c.(stream), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// serveStreams has TCP connections, or those of a unix socket, joined with a WebSocket each.
func (b *Bridge) serveStreams(ctx context.Context) error {
	unlink := context.AfterFunc(ctx, func() { b.l.Close() })
	defer unlink()
	var pause time.Duration
	for {
		c, err := b.l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return context.Cause(ctx)
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // no descriptors, say
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			b.log.Error("a connection could not be accepted", "error", err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		pause = 0
		s := c.(stream)
		leave, ok := b.enter()
		if !ok {
			b.log.Warn("refused", "from", c.RemoteAddr().String(), "error", "there are as many connections as allowed")
			reset(s)
			continue
		}
		go func() {
			defer leave()
			_ = b.forward(ctx, s, c.RemoteAddr().String())
		}()
	}
}

// forward connects to the WebSocket and carries what comes over s. The error has an exit code.
func (b *Bridge) forward(ctx context.Context, s stream, from string) error {
	log := b.log.With("connection", b.number.Add(1), "from", from, "to", b.c.To.String())
	c, err := b.dialWebSocket(ctx)
	if err != nil {
		log.Warn("not joined", "error", err)
		reset(s)
		return err
	}
	return broken(b.carry(ctx, &pair{ws: c, stream: s, client: true, linger: b.c.Linger}, log))
}

func (b *Bridge) dialWebSocket(ctx context.Context) (*ws.Conn, error) {
	t := b.c.Target
	header := t.Header
	if t.Token != nil {
		token, err := t.Token(ctx)
		if err != nil {
			return nil, err
		}
		header = header.Clone()
		header.Set("Authorization", "Bearer "+token)
	}
	limits := b.limits()
	limits.HandshakeTimeout = t.Timeout
	offered := b.c.Subprotocols
	if offered == nil {
		offered = []string{"binary", HalfClose} // some servers take the first, whatever it is
	}
	c, resp, err := ws.Dial(ctx, t.URL.String(), &ws.DialOptions{
		Subprotocols: offered,
		Header:       header,
		TLS:          t.TLS,
		Proxy:        t.Proxy,
		DialContext:  t.DialContext,
		Compression:  b.c.Compression,
		Limits:       limits,
		Keepalive:    b.keepalive(),
		Queue:        ws.Queue{MaxBytes: maxQueued},
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err == nil {
		return c, nil
	}
	if refused, ok := errors.AsType[*ws.HandshakeError](err); ok && resp != nil {
		return nil, fmt.Errorf("%s: %w", b.c.To, connection.Refusal(refused, resp))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, target.Unconnected(fmt.Errorf("%s cannot be reached: %w", b.c.To, err))
}

// broken gives the end of a connection its exit code.
func broken(err error) error {
	if _, ok := errors.AsType[*ws.CloseError](err); ok || errors.Is(err, ErrIdle) {
		return exit.With(exit.Broken, err)
	}
	return err
}
