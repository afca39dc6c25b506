package ws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"baro.dev/ws/internal/dialer"
	"baro.dev/ws/internal/handshake"
)

// Streams opens WebSockets as streams of HTTP/2 (RFC 8441) or HTTP/3 (RFC 9220) connections, which many can share.
// HTTP2 makes one.
type Streams interface {
	// HTTPVersion is the major version of HTTP: 2 or 3.
	HTTPVersion() int
	// Open sends r, an extended CONNECT, and returns the answer and, if its status is 2xx, the stream. Closing the
	// stream must make its Read and Write return. The context of r is for Open alone.
	Open(r *http.Request) (*http.Response, io.ReadWriteCloser, error)
}

// HTTP2 returns Streams over the HTTP/2 connections of t, which must have HTTP/2 enabled. The server has to announce
// extended CONNECT; Go's does with GODEBUG=http2xconnect=1, which the client's process needs as well.
func HTTP2(t *http.Transport) Streams { return http2Streams{t} }

type http2Streams struct{ transport *http.Transport }

func (http2Streams) HTTPVersion() int { return 2 }

func (s http2Streams) Open(r *http.Request) (*http.Response, io.ReadWriteCloser, error) {
	// The context of a request ends its stream, so the stream has one of its own.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(r.Context(), func() { cancel(context.Cause(r.Context())) })
	pr, pw := io.Pipe()
	r = r.WithContext(ctx)
	r.Body = pr
	resp, err := s.transport.RoundTrip(r)
	if !stop() && err == nil {
		resp.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel(err)
		pw.Close()
		return nil, nil, err
	}
	return resp, &clientStream{body: resp.Body, pipe: pw, cancel: cancel}, nil
}

// clientStream is the client's end of a stream of HTTP/2.
type clientStream struct {
	body   io.ReadCloser
	pipe   *io.PipeWriter
	cancel context.CancelCauseFunc
}

func (s *clientStream) Read(p []byte) (int, error)  { return s.body.Read(p) }
func (s *clientStream) Write(p []byte) (int, error) { return s.pipe.Write(p) }
func (s *clientStream) CloseWrite() error           { return s.pipe.Close() }

func (s *clientStream) Close() error {
	s.pipe.Close()
	err := s.body.Close()
	s.cancel(ErrClosed)
	return err
}

// dialStream does the opening handshake over a stream.
func (o *DialOptions) dialStream(ctx context.Context, target *dialer.Target, offer *handshake.Offer) (*Conn, *http.Response, error) {
	offer.HTTP = o.Streams.HTTPVersion()
	req, err := offer.Request(target.URL)
	if err != nil {
		return nil, nil, err
	}
	resp, stream, err := o.Streams.Open(req.WithContext(ctx))
	if err != nil {
		return nil, resp, fmt.Errorf("ws: opening a stream to %s: %w", target.URL.Host, err)
	}
	subprotocol, agreed, err := offer.CheckResponse(resp)
	if err != nil {
		keepBody(resp)
		stream.Close()
		return nil, resp, err
	}
	resp.Body = http.NoBody
	return newConn(newStreamTransport(stream), o.settings(), true, subprotocol, agreed, nil), resp, nil
}

// maxBody is how much of the body of a refusal is kept.
const maxBody = 1 << 10

// keepBody replaces the body of resp by its beginning, in memory.
func keepBody(resp *http.Response) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // as far as it comes
	resp.Body = io.NopCloser(bytes.NewReader(body))
}
