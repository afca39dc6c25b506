package webtransport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"

	wt "github.com/quic-go/webtransport-go"
)

// Stream returns what opens streams for a client (engineio/client's Options.OpenStream, and by it that of socketio/client): each in
// a session, and a QUIC connection, of its own. config may be nil; it is cloned.
func Stream(config *tls.Config) func(ctx context.Context, u *url.URL, h http.Header) (io.ReadWriteCloser, error) {
	return func(ctx context.Context, u *url.URL, h http.Header) (io.ReadWriteCloser, error) {
		transport := &wt.Transport{TLSClientConfig: config.Clone()}
		resp, session, err := transport.Dial(ctx, u.String(), h) //nolint:bodyclose // a CONNECT's: the session has it
		if err != nil {
			_ = transport.Close()
			if resp != nil && resp.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("the server answers with %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
			}
			return nil, err
		}
		s, err := session.OpenStreamSync(ctx)
		if err != nil {
			_ = session.CloseWithError(0, "")
			_ = transport.Close()
			return nil, err
		}
		return &clientStream{s, session, transport}, nil
	}
}

// clientStream is a stream that has a connection to itself.
type clientStream struct {
	*wt.Stream
	session   *wt.Session
	transport *wt.Transport
}

// Close ends the stream, the session and the connection. What was written before may still be on its way: QUIC closes at once.
func (s *clientStream) Close() error {
	s.CancelRead(0)
	err := s.Stream.Close()
	_ = s.session.CloseWithError(0, "")
	_ = s.transport.Close()
	return err
}
