package wsh3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"

	"baro.dev/ws"
)

// ErrNotOffered is why Open fails if the server speaks HTTP/3 but does not offer extended CONNECT (RFC 9220 3, RFC 8441
// 3). The same server may well take WebSockets over HTTP/1.1.
var ErrNotOffered = errors.New("wsh3: the server does not offer WebSocket over HTTP/3 (extended CONNECT)")

// errUnprocessed is the server's word that it has not looked at a request: another connection can take it (RFC 9114
// 4.1.1).
var errUnprocessed = &http3.Error{Remote: true, ErrorCode: http3.ErrCodeRequestRejected}

// Streams opens WebSockets over HTTP/3 connections, which it makes and keeps. The zero value is ready. It may be used
// concurrently; the fields must not be changed once it is in use.
type Streams struct {
	// Transport says how connections are made: TLSClientConfig, QUICConfig, Dial and the settings of HTTP/3. nil means
	// the defaults. The connections are not those of the Transport's own requests, and closing it does not close them.
	//
	// A QUICConfig should have a KeepAlivePeriod, or a silence of 30 s, its default MaxIdleTimeout, ends all WebSockets
	// of a connection. Without a QUICConfig it is 10 s.
	Transport *http3.Transport
	// MaxStreams is how many WebSockets share a connection; for more, another one is made. 0 means 100, which is what
	// servers commonly allow. Where a server allows fewer, Open waits for one to end.
	MaxStreams int
	// IdleTimeout is how long a connection is kept after its last WebSocket has ended. 0 means 90 s; with a negative
	// value it is closed at once.
	IdleTimeout time.Duration

	mu     sync.Mutex // guards what follows, and the fields of every conn
	conns  map[string][]*conn
	closed bool
}

const (
	defaultMaxStreams  = 100
	defaultIdleTimeout = 90 * time.Second
)

var _ ws.Streams = (*Streams)(nil)

// HTTPVersion implements ws.Streams.
func (s *Streams) HTTPVersion() int { return 3 }

// Open implements ws.Streams. If the server does not offer extended CONNECT, the error is ErrNotOffered.
func (s *Streams) Open(r *http.Request) (*http.Response, io.ReadWriteCloser, error) {
	if r.URL.Scheme != "https" {
		return nil, nil, fmt.Errorf("wsh3: HTTP/3 is always encrypted: https or wss, not %s", r.URL.Scheme)
	}
	if r.Header.Get("Accept-Encoding") == "" {
		// Otherwise the transport asks for gzip and undoes it.
		r = r.Clone(r.Context())
		r.Header.Set("Accept-Encoding", "identity")
	}
	for {
		c, reused, err := s.acquire(r.Context(), authority(r.URL))
		if err != nil {
			return nil, nil, err
		}
		resp, str, err := c.open(r)
		if err == nil {
			return resp, &stream{str: str, release: sync.OnceFunc(func() { s.release(c) })}, nil
		}
		gone := errors.Is(err, errConnGone)
		if gone {
			s.forget(c)
		}
		s.release(c)
		if !gone || !reused {
			return nil, nil, err
		}
		// The connection had died, or was going away, and knew nothing of the request.
	}
}

// Close closes all connections, and with them the WebSockets that are open. The Streams cannot be used again.
func (s *Streams) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, conns := range s.conns {
		for _, c := range slices.Clone(conns) {
			s.discard(c)
		}
	}
	return nil
}

// open sends r on a stream of its own and returns the answer.
func (c *conn) open(r *http.Request) (*http.Response, *http3.RequestStream, error) {
	ctx := r.Context()
	if err := c.await(ctx); err != nil {
		return nil, nil, err
	}
	str, err := c.http.OpenRequestStream(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		return nil, nil, fmt.Errorf("%w: %w", errConnGone, err)
	}
	stop := context.AfterFunc(ctx, func() { abort(str) })
	resp, err := exchange(str, r)
	if !stop() {
		return nil, nil, context.Cause(ctx)
	}
	if err != nil {
		abort(str)
		if errors.Is(err, errUnprocessed) {
			err = fmt.Errorf("%w: %w", errConnGone, err)
		}
		return nil, nil, err
	}
	state := c.quic.ConnectionState().TLS
	resp.TLS = &state
	resp.Request = r
	return resp, str, nil
}

// await waits until the server has said what it offers: before that, no extended CONNECT may be sent (RFC 8441 3).
func (c *conn) await(ctx context.Context) error {
	select {
	case <-c.dialled:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.err != nil {
		return c.err
	}
	select {
	case <-c.http.ReceivedSettings():
	case <-c.quic.Context().Done():
		return fmt.Errorf("%w: %w", errConnGone, context.Cause(c.quic.Context()))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !c.http.Settings().EnableExtendedConnect {
		return ErrNotOffered
	}
	return nil
}

// maxInformational is how many answers of status 1xx may come before the final one.
const maxInformational = 5

// exchange sends the request and reads the answer.
func exchange(str *http3.RequestStream, r *http.Request) (*http.Response, error) {
	if err := str.SendRequestHeader(r); err != nil {
		return nil, err
	}
	for range maxInformational + 1 {
		resp, err := str.ReadResponse()
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("wsh3: more than %d answers of status 1xx", maxInformational)
}
