package wsh3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
)

// carriers are the ways of reaching handler that the benchmarks compare: the URL and the options for it.
func carriers(b *testing.B, handler http.Handler) map[string]func(b *testing.B) (string, *ws.DialOptions) {
	b.Helper()
	return map[string]func(b *testing.B) (string, *ws.DialOptions){
		"HTTP1": func(b *testing.B) (string, *ws.DialOptions) {
			s := httptest.NewServer(handler)
			b.Cleanup(s.Close)
			return "ws" + strings.TrimPrefix(s.URL, "http"), nil
		},
		"HTTP1TLS": func(b *testing.B) (string, *ws.DialOptions) {
			s := httptest.NewTLSServer(handler)
			b.Cleanup(s.Close)
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())
			return "wss" + strings.TrimPrefix(s.URL, "https"), &ws.DialOptions{TLS: &tls.Config{RootCAs: roots}}
		},
		"HTTP3": func(b *testing.B) (string, *ws.DialOptions) {
			s := serve(b, handler, nil)
			return s.url, &ws.DialOptions{Streams: s.streams(b)}
		},
	}
}

// BenchmarkEcho is a message written, echoed by the peer and read; client and server share the figures.
func BenchmarkEcho(b *testing.B) {
	handler := streamtest.Echoes(ws.AcceptOptions{})["Inline"]
	for name, start := range carriers(b, handler) {
		for _, size := range []int{64, 1024, 65536} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				ctx := context.Background()
				url, o := start(b)
				c, _, err := ws.Dial(ctx, url, o)
				if err != nil {
					b.Fatal(err)
				}
				defer c.CloseNow()
				data := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := c.Write(ctx, ws.Binary, data); err != nil {
						b.Fatal(err)
					}
					if _, err := c.Read(ctx); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkEchoes is the same with 64 WebSockets at once, each with 8 messages under way: over HTTP/3 they share a
// connection.
func BenchmarkEchoes(b *testing.B) {
	const conns, window = 64, 8
	handler := streamtest.Echoes(ws.AcceptOptions{})["Inline"]
	for name, start := range carriers(b, handler) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			url, o := start(b)
			all := make([]*ws.Conn, conns)
			for i := range all {
				c, _, err := ws.Dial(ctx, url, o)
				if err != nil {
					b.Fatal(err)
				}
				defer c.CloseNow()
				all[i] = c
			}
			data := make([]byte, 64)
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for _, c := range all {
				group.Go(func() {
					n := (b.N + conns - 1) / conns
					for range min(window, n) {
						c.Write(ctx, ws.Binary, data)
					}
					got := 0
					for _, err := range c.Messages(ctx) {
						if err != nil {
							b.Error(err)
							return
						}
						if got++; got == n {
							return
						}
						if got+window <= n {
							c.Write(ctx, ws.Binary, data)
						}
					}
				})
			}
			group.Wait()
		})
	}
}

// BenchmarkDial is an opening handshake and a closing one: over HTTP/3 on a connection that is there.
func BenchmarkDial(b *testing.B) {
	handler := streamtest.Echoes(ws.AcceptOptions{})["Inline"]
	for name, start := range carriers(b, handler) {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			url, o := start(b)
			b.ReportAllocs()
			for b.Loop() {
				c, _, err := ws.Dial(ctx, url, o)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.Close(ctx, ws.StatusNormalClosure, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
