package dialer

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
)

func TestSOCKS(t *testing.T) {
	ca := newAuthority(t)
	_, port, _ := net.SplitHostPort(listen(t, secured(ca.server(t, "server.example", "127.0.0.1", "2001:db8::1"), echo)))
	asked := make(chan string, 1)
	seen := func(addr string) { asked <- addr }
	open := listen(t, socksProxy("", seen))
	closed := listen(t, socksProxy("ann", seen))
	for _, proxy := range []string{
		"socks5://" + open, "socks5h://" + open, "socks5h://ann:" + secret + "@" + open, "socks5://ann:" + secret + "@" + closed,
	} {
		// Names go to the proxy: what the client cannot or should not resolve.
		for _, host := range []string{"server.example", "127.0.0.1", "[2001:db8::1]"} {
			t.Run(host+" by "+proxy, func(t *testing.T) {
				if strings.Contains(proxy, "@"+open) {
					// The proxy asks for no password though one could be had.
					t.Log("credentials not needed")
				}
				config := &Config{Proxy: via(proxy), TLS: &tls.Config{RootCAs: ca.pool}}
				dialOK(t, config, "wss://"+host+":"+port)
				if got := <-asked; got != host+":"+port {
					t.Errorf("asked for %s", got)
				}
			})
		}
	}
}

func TestSOCKSPlainIsTCPConn(t *testing.T) {
	_, port, _ := net.SplitHostPort(listen(t, echo))
	proxy := listen(t, socksProxy("", func(string) {}))
	conn := dialOK(t, &Config{Proxy: via("socks5://" + proxy)}, "ws://server.example:"+port)
	if _, ok := conn.(*net.TCPConn); !ok {
		t.Errorf("got %T, not the *net.TCPConn itself", conn)
	}
}

func TestSOCKSFailures(t *testing.T) {
	wantsPassword := socksProxy("ann", func(string) {})
	for _, c := range []struct {
		name, user string
		handle     func(net.Conn)
	}{
		{"password missing", "", wantsPassword},
		{"wrong user", "bob:" + secret + "@", wantsPassword},
		{"wrong password", "ann:" + secret + secret + "@", wantsPassword},
		{"password too long", "ann:" + strings.Repeat(secret, 99) + "@", wantsPassword},
		{"name too long", strings.Repeat("x", 256) + ":" + secret + "@", wantsPassword},
		{"unasked method", "", answers("\x05\x02")},
		{"closes", "", answers()},
		{"version 4", "", answers("\x00\x5a\x00\x00\x00\x00\x00\x00")},
		{"HTTP", "", answers("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"garbage", "", answers(strings.Repeat("\xff", 1<<20))},
		{"host unreachable", "", answers("\x05\x00", "\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00")},
		{"unknown address type", "", answers("\x05\x00", "\x05\x00\x00\x09\x00\x00\x00\x00\x00\x00")},
		{"other version in the reply", "", answers("\x05\x00", "\x04\x00\x00\x01\x00\x00\x00\x00\x00\x00")},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := listen(t, c.handle)
			e := dialFails(t, t.Context(), &Config{Proxy: via("socks5://" + c.user + addr)}, "ws://example.com", PhaseTunnel, nil)
			if e.Addr != "socks5://"+addr+" to example.com:80" {
				t.Errorf("it names %q", e.Addr)
			}
		})
	}
}

// answers reads something and writes the next of the answers, turn by turn, then closes.
func answers(list ...string) func(net.Conn) {
	return func(conn net.Conn) {
		for _, answer := range list {
			if _, err := conn.Read(make([]byte, 4096)); err != nil {
				return
			}
			io.WriteString(conn, answer)
		}
	}
}

// Bytes of the server right behind the proxy's reply belong to the tunnel; a proxy that goes away within its reply is an
// error. All kinds of bound address.
func TestSOCKSReplies(t *testing.T) {
	for _, bound := range []string{"\x01\x7f\x00\x00\x01", "\x03\x04name", "\x03\x00", "\x04" + strings.Repeat("\x00", 16)} {
		reply := "\x05\x00\x00" + bound + "\x00\x09"
		for n := 0; n <= len(reply); n++ {
			t.Run("", func(t *testing.T) {
				sent := reply[:n]
				if n == len(reply) {
					sent += "early"
				}
				addr := listen(t, answers("\x05\x00", sent))
				config := &Config{Proxy: via("socks5://" + addr)}
				if n < len(reply) {
					dialFails(t, t.Context(), config, "ws://example.com", PhaseTunnel, io.ErrUnexpectedEOF)
					return
				}
				conn, err := config.Dial(t.Context(), mustParse(t, "ws://example.com"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, []byte("early")) {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	}
}
