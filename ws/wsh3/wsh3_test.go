package wsh3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
	"baro.dev/ws/wsh3"
)

// certificate returns a certificate for 127.0.0.1 and the roots that trust it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
}

// server is an HTTP/3 server on the loopback interface.
type server struct {
	http3.Server
	url    string
	socket net.PacketConn
	roots  *x509.CertPool

	mu    sync.Mutex
	conns []*quic.Conn
}

// serve starts a server for handler; t's cleanup ends it.
func serve(t testing.TB, handler http.Handler, config *quic.Config) *server {
	t.Helper()
	cert, roots := certificate(t)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "wss://" + socket.LocalAddr().String(), socket: socket, roots: roots}
	s.Handler = handler
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.QUICConfig = config
	s.ConnContext = func(ctx context.Context, c *quic.Conn) context.Context {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns = append(s.conns, c)
		return ctx
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(socket) }()
	t.Cleanup(func() {
		s.Close()
		<-served
		socket.Close()
	})
	return s
}

// serveGated is serve for a server that looks at a request only if admit says so, and rejects it otherwise.
func serveGated(t testing.TB, handler http.Handler, admit func() bool) *server {
	t.Helper()
	cert, roots := certificate(t)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{url: "wss://" + socket.LocalAddr().String(), socket: socket, roots: roots}
	s.Handler = handler
	config := http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}})
	l, err := quic.ListenEarly(socket, config, &quic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			serving.Go(func() { s.gate(t, &serving, c, admit) })
		}
	})
	t.Cleanup(func() {
		s.cut()
		l.Close()
		s.cut()
		serving.Wait()
		socket.Close()
	})
	return s
}

// gate serves a connection.
func (s *server) gate(t testing.TB, serving *sync.WaitGroup, c *quic.Conn, admit func() bool) {
	raw, err := s.NewRawServerConn(c)
	if err != nil {
		t.Error(err)
		return
	}
	serving.Go(func() {
		for {
			str, err := c.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			serving.Go(func() { raw.HandleUnidirectionalStream(str) })
		}
	})
	for {
		str, err := c.AcceptStream(context.Background())
		if err != nil {
			return
		}
		if admit() {
			serving.Go(func() { raw.HandleRequestStream(str) })
			continue
		}
		str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
		str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
	}
}

// accepted returns the connections that the server has accepted.
func (s *server) accepted() []*quic.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*quic.Conn(nil), s.conns...)
}

// cut closes all connections without a word of HTTP/3.
func (s *server) cut() {
	for _, c := range s.accepted() {
		c.CloseWithError(0xbad, "cut")
	}
}

// streams returns Streams that trust the server; t's cleanup closes them.
func (s *server) streams(t testing.TB) *wsh3.Streams {
	streams := &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}}
	t.Cleanup(func() { streams.Close() })
	return streams
}

// start starts a server for the tests that all carriers have in common.
func start(t testing.TB, handler http.Handler) *streamtest.Peer {
	s := serve(t, handler, nil)
	return &streamtest.Peer{
		URL:     s.url,
		Options: ws.DialOptions{Streams: s.streams(t)},
		Conns:   func() int { return len(s.accepted()) },
		Cut:     s.cut,
	}
}

func TestStreams(t *testing.T) { streamtest.Run(t, start, true) }
