package ws_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	_ "baro.dev/internal/extendedconnect"
	"baro.dev/ws"
	"baro.dev/ws/wsh2"
)

// serveTLS starts an HTTPS server with HTTP/2 and returns its wss URL and its roots.
func serveTLS(t testing.TB, handler http.Handler) (string, *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return "wss" + strings.TrimPrefix(s.URL, "https"), roots
}

// overHTTP2 returns options to dial through HTTP/2.
func overHTTP2(t testing.TB, roots *x509.CertPool) *ws.DialOptions {
	transport := &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &ws.DialOptions{Streams: &wsh2.Streams{Transport: transport}}
}

func TestHTTP2(t *testing.T) {
	for way, handler := range echoes(ws.AcceptOptions{
		Subprotocols: []string{"chat"},
		Compression:  ws.Compression{Enabled: true},
	}) {
		t.Run(way, func(t *testing.T) {
			ctx := t.Context()
			major := make(chan int, 1)
			url, roots := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				major <- r.ProtoMajor
				handler.ServeHTTP(w, r)
			}))
			o := overHTTP2(t, roots)
			o.Subprotocols = []string{"chat"}
			o.Compression.Enabled = true
			c, resp, err := ws.Dial(ctx, url, o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if got := <-major; got != 2 || resp.StatusCode != http.StatusOK {
				t.Fatalf("HTTP/%d, status %d", got, resp.StatusCode)
			}
			if c.Subprotocol() != "chat" || !c.Compressed() {
				t.Fatalf("subprotocol %q, compressed %v", c.Subprotocol(), c.Compressed())
			}
			for _, size := range []int{0, 1, 1000, 100_000, 1 << 20} {
				data := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
				if err := c.Write(ctx, ws.Text, data); err != nil {
					t.Fatal(err)
				}
				m, err := c.Read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(m.Data, data) {
					t.Fatalf("%d bytes came back as %d", size, len(m.Data))
				}
			}
			if rtt, err := c.Ping(ctx); err != nil || rtt <= 0 {
				t.Fatal(rtt, err)
			}
			if err := c.Close(ctx, ws.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A read that is cancelled leaves a stream of HTTP/2 alive, though such a stream has no deadlines.
func TestHTTP2CancelledRead(t *testing.T) {
	ctx := t.Context()
	url, roots := serveTLS(t, echoes(ws.AcceptOptions{})["Conn"])
	c, _, err := ws.Dial(ctx, url, overHTTP2(t, roots))
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := c.Write(ctx, ws.Text, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Read(ctx); err != nil || m.String() != "still here" {
		t.Fatal(m, err)
	}
}

// The connection ends with the handler, however the handler leaves it.
func TestHTTP2HandlerReturns(t *testing.T) {
	ctx := t.Context()
	ended := make(chan *ws.Conn, 1)
	url, roots := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
		}
		ended <- c
	}))
	c, _, err := ws.Dial(ctx, url, overHTTP2(t, roots))
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, err := c.Read(ctx); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
		t.Fatal(err)
	}
	s := <-ended
	<-s.Done()
	if err := s.Write(ctx, ws.Text, nil); err == nil {
		t.Fatal("a write after the handler returned succeeded")
	}
}
