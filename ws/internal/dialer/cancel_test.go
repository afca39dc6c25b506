package dialer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// stage is a point at which the other side falls silent.
type stage struct {
	name, url, proxy string
	phase            Phase
	before           func(net.Conn) // brings the connection there
}

func stages(ca *authority, proxyTLS *tls.Config) []stage {
	read := func(n int) func(net.Conn) {
		return func(c net.Conn) { io.ReadFull(c, make([]byte, n)) }
	}
	answer := func(s string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, s) }
	}
	inOrder := func(steps ...func(net.Conn)) func(net.Conn) {
		return func(c net.Conn) {
			for _, step := range steps {
				step(c)
			}
		}
	}
	request := func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)) }
	greeting, password := read(3), read(3+len("ann")+len(secret))
	ask := read(4 + 1 + len("h.example") + 2)
	none, all := func(net.Conn) {}, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	return []stage{
		{"TLS: nothing is read", "wss://h.example", "", PhaseTLS, none},
		{"TLS: hello", "wss://h.example", "", PhaseTLS, read(1)},
		{"TLS: part of an answer", "wss://h.example", "", PhaseTLS, inOrder(read(1), answer("\x16\x03\x03\x01"))},
		{"CONNECT: nothing is read", "ws://h.example", "http://p", PhaseTunnel, none},
		{"CONNECT: request", "ws://h.example", "http://p", PhaseTunnel, request},
		{"CONNECT: part of an answer", "wss://h.example", "http://p", PhaseTunnel, inOrder(request, answer("HTTP/1.1 200 OK\r\nA:"))},
		{"TLS behind CONNECT", "wss://h.example", "http://p", PhaseTLS, inOrder(request, answer("HTTP/1.1 200 OK\r\n\r\n"), read(1))},
		{"TLS behind CONNECT, an early byte", "wss://h.example", "http://p", PhaseTLS,
			inOrder(request, answer("HTTP/1.1 200 OK\r\n\r\n\x16"), read(1))},
		{"TLS of the proxy", "ws://h.example", "https://p", PhaseTLS, read(1)},
		{"CONNECT over TLS", "ws://h.example", "https://p", PhaseTunnel, func(c net.Conn) {
			request(tls.Server(c, proxyTLS))
		}},
		{"TLS over TLS", "wss://h.example", "https://p", PhaseTLS, func(c net.Conn) {
			inOrder(request, answer("HTTP/1.1 200 OK\r\n\r\n"), read(1))(tls.Server(c, proxyTLS))
		}},
		{"SOCKS: nothing is read", "ws://h.example", "socks5://p", PhaseTunnel, none},
		{"SOCKS: greeting", "ws://h.example", "socks5://p", PhaseTunnel, greeting},
		{"SOCKS: password", "ws://h.example", "socks5://ann:" + secret + "@p", PhaseTunnel,
			inOrder(read(4), answer("\x05\x02"), password)},
		{"SOCKS: request", "ws://h.example", "socks5://p", PhaseTunnel, inOrder(greeting, answer("\x05\x00"), ask)},
		{"SOCKS: part of a reply", "ws://h.example", "socks5://p", PhaseTunnel,
			inOrder(greeting, answer("\x05\x00"), ask, answer("\x05\x00\x00"))},
		{"TLS behind SOCKS", "wss://h.example", "socks5://p", PhaseTLS,
			inOrder(greeting, answer("\x05\x00"), ask, answer(all), read(1))},
	}
}

// config goes to addr whatever is dialed.
func (s stage) config(ca *authority, dial func(context.Context) (net.Conn, error)) *Config {
	c := &Config{
		TLS:         &tls.Config{RootCAs: ca.pool},
		ProxyTLS:    &tls.Config{RootCAs: ca.pool},
		Proxy:       direct,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	if s.proxy != "" {
		c.Proxy = via(s.proxy)
	}
	return c
}

// Over real sockets: cancelled when the other side has fallen silent, Dial returns, and the other side sees the end.
func TestCancel(t *testing.T) {
	ca := newAuthority(t)
	for _, s := range stages(ca, ca.server(t, "p")) {
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			addr := listen(t, func(conn net.Conn) {
				s.before(conn)
				cancel()
				io.Copy(io.Discard, conn) // ends when the client has closed: listen waits for it
			})
			config := s.config(ca, func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(context.WithoutCancel(ctx), "tcp", addr)
			})
			e := dialFails(t, ctx, config, s.url, s.phase, context.Canceled)
			if e.Timeout() {
				t.Error("cancelled, but it says timeout")
			}
		})
	}
}

// Over a pipe in fake time: Dial ends exactly at its deadline, and no goroutine stays behind, or the bubble would say so.
func TestDeadline(t *testing.T) {
	ca := newAuthority(t)
	for _, s := range stages(ca, ca.server(t, "p")) {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				client, server := net.Pipe()
				go func() {
					s.before(server)
					<-ctx.Done()
					if n, err := io.Copy(io.Discard, server); err != nil {
						t.Errorf("after %d bytes: %v", n, err)
					}
				}()
				start := time.Now()
				config := s.config(ca, func(context.Context) (net.Conn, error) { return client, nil })
				e := dialFails(t, ctx, config, s.url, s.phase, context.DeadlineExceeded)
				if d := time.Since(start); d != time.Second {
					t.Errorf("it took %v", d)
				}
				if !e.Timeout() {
					t.Error("not a timeout")
				}
			})
		})
	}
}

// A Dial that succeeds leaves no goroutine either.
func TestNothingStays(t *testing.T) {
	for _, c := range []struct {
		proxy  string
		handle func(net.Conn)
	}{
		{"http://p", script("HTTP/1.1 200 OK\r\n\r\n")},
		{"socks5://p", func(c net.Conn) {
			answers("\x05\x00", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")(c)
			io.Copy(io.Discard, c)
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			client, server := net.Pipe()
			config := &Config{Proxy: via(c.proxy), DialContext: func(context.Context, string, string) (net.Conn, error) {
				return client, nil
			}}
			served := make(chan struct{})
			go func() {
				c.handle(server)
				close(served)
			}()
			conn, err := config.Dial(ctx, mustParse(t, "ws://example.com"))
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			<-served
		})
	}
}

// Once Dial has returned, the end of its ctx does not touch the connection.
func TestCancelAfterwards(t *testing.T) {
	ca := newAuthority(t)
	plain, overTLS := listen(t, echo), listen(t, secured(ca.server(t, "127.0.0.1"), echo))
	_, port, _ := net.SplitHostPort(overTLS)
	connect := listen(t, connectProxy(func(*http.Request) {}))
	socks := listen(t, socksProxy("", func(string) {}))
	for _, c := range []struct{ url, proxy string }{
		{"ws://" + plain, ""},
		{"wss://" + overTLS, ""},
		{"ws://" + plain, "http://" + connect},
		{"ws://" + plain, "socks5://" + socks},
		{"wss://127.0.0.1:" + port, "http://" + connect},
		{"wss://127.0.0.1:" + port, "socks5://" + socks},
	} {
		t.Run(c.url+" by "+c.proxy, func(t *testing.T) {
			config := &Config{Proxy: direct, TLS: &tls.Config{RootCAs: ca.pool}}
			if c.proxy != "" {
				config.Proxy = via(c.proxy)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			conn, err := config.Dial(ctx, mustParse(t, c.url))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			cancel()
			if _, err := io.WriteString(conn, "still"); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(conn, got); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestCancelDial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	waits := &Config{Proxy: direct, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	dialFails(t, ctx, waits, "ws://example.com", PhaseDial, context.Canceled)

	// The default dialer, too.
	addr := listen(t, echo)
	dialFails(t, ctx, &Config{Proxy: direct}, "ws://"+addr, PhaseDial, context.Canceled)
	dialFails(t, ctx, &Config{Proxy: via("http://" + addr)}, "ws://example.com", PhaseDial, context.Canceled)
}

// A connection whose deadlines do nothing is interrupted all the same.
func TestCancelWithoutDeadlines(t *testing.T) {
	for _, proxy := range []string{"http://p", "socks5://p"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			client, server := net.Pipe()
			go io.Copy(io.Discard, server)
			config := &Config{Proxy: via(proxy), DialContext: func(context.Context, string, string) (net.Conn, error) {
				return noDeadlines{client}, nil
			}}
			dialFails(t, ctx, config, "ws://example.com", PhaseTunnel, context.DeadlineExceeded)
		})
	}
}

type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (noDeadlines) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (noDeadlines) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
