package ws_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
	"baro.dev/ws/wsh2"
)

// streamsOver returns a way of starting an HTTPS server and reaching it over HTTP/1.1 or HTTP/2.
func streamsOver(major int) streamtest.Start {
	return func(t testing.TB, handler http.Handler) *streamtest.Peer {
		s := httptest.NewUnstartedServer(handler)
		s.EnableHTTP2 = major == 2
		var mu sync.Mutex
		conns := make(map[net.Conn]bool)
		s.Config.ConnState = func(nc net.Conn, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			if state == http.StateNew {
				conns[nc] = true
			}
		}
		s.StartTLS()
		t.Cleanup(s.Close)
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		p := &streamtest.Peer{
			URL: "wss" + strings.TrimPrefix(s.URL, "https"),
			Conns: func() int {
				mu.Lock()
				defer mu.Unlock()
				return len(conns)
			},
			Cut: func() {
				mu.Lock()
				defer mu.Unlock()
				for nc := range conns {
					nc.(*tls.Conn).NetConn().Close()
				}
			},
		}
		p.Options.TLS = &tls.Config{RootCAs: roots}
		if major == 2 {
			transport := &http2.Transport{TLSClientConfig: p.Options.TLS}
			t.Cleanup(transport.CloseIdleConnections)
			p.Options.Streams = &wsh2.Streams{Transport: transport}
		}
		return p
	}
}

func TestHTTP2Streams(t *testing.T) { streamtest.Run(t, streamsOver(2), true) }

// TestTLSStreams holds connections of HTTP/1.1 to the same.
func TestTLSStreams(t *testing.T) { streamtest.Run(t, streamsOver(1), false) }

var _ ws.Streams = (*wsh2.Streams)(nil)
