// Package wsh2 dials WebSockets over HTTP/2 (RFC 8441): as streams of one connection, which they share with each other
// and with other requests. It is a package of its own because net/http's client cannot send an extended CONNECT, and
// package ws does not depend on golang.org/x/net/http2, whose client can.
//
// The server side needs nothing from here: ws.Accept and ws.Server serve HTTP/2 requests as they are, provided that
// net/http offers extended CONNECT, which takes GODEBUG=http2xconnect=1 in the environment of the server's process.
package wsh2

import (
	"context"
	"io"
	"net/http"
	"sync"

	"golang.org/x/net/http2"

	"baro.dev/ws"
)

// Streams opens WebSockets over the connections of an http2.Transport. It may be used concurrently.
type Streams struct {
	// Transport makes the connections and keeps them. nil means one with the defaults.
	Transport *http2.Transport

	once sync.Once
}

var _ ws.Streams = (*Streams)(nil)

// HTTPVersion implements ws.Streams.
func (s *Streams) HTTPVersion() int { return 2 }

// Open implements ws.Streams. It fails if the server does not offer extended CONNECT.
func (s *Streams) Open(r *http.Request) (*http.Response, io.ReadWriteCloser, error) {
	s.once.Do(func() {
		if s.Transport == nil {
			s.Transport = new(http2.Transport)
		}
	})
	// The context of a request ends its stream, so the stream has one of its own.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(r.Context(), func() { cancel(context.Cause(r.Context())) })
	body, pipe := io.Pipe()
	r = r.WithContext(ctx)
	r.Body = body
	r.Header.Set("Accept-Encoding", "identity") // or the transport asks for gzip, and undoes it
	resp, err := s.Transport.RoundTrip(r)
	if !stop() && err == nil {
		resp.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel(err)
		pipe.Close()
		return nil, nil, err
	}
	return resp, &stream{body: resp.Body, pipe: pipe, cancel: cancel}, nil
}

// stream is the client's end of a stream.
type stream struct {
	body   io.ReadCloser
	pipe   *io.PipeWriter
	cancel context.CancelCauseFunc
}

func (s *stream) Read(p []byte) (int, error)  { return s.body.Read(p) }
func (s *stream) Write(p []byte) (int, error) { return s.pipe.Write(p) }
func (s *stream) CloseWrite() error           { return s.pipe.Close() }

func (s *stream) Close() error {
	s.pipe.Close()
	err := s.body.Close()
	s.cancel(ws.ErrClosed)
	return err
}
