package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// raw3 is a client of WebTransport that is given no help.
type raw3 struct {
	*http3.ClientConn
	conn *quic.Conn
}

func dialRaw3(t *testing.T, s *Server, roots *x509.CertPool, config *quic.Config) *raw3 {
	t.Helper()
	if config == nil {
		config = &quic.Config{}
	}
	config.EnableDatagrams, config.EnableStreamResetPartialDelivery = true, true
	conn, err := quic.DialAddr(t.Context(), s.listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{http3.NextProtoH3}}, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	h := &http3.Transport{EnableDatagrams: true, AdditionalSettings: map[uint64]uint64{0x2c7cf000: 1, 0x2b603742: 1}} // WT_ENABLED, and that of a draft
	return &raw3{h.NewClientConn(conn), conn}
}

// session opens a session of WebTransport for Socket.IO.
func (c *raw3) session(t *testing.T, s *Server) *http3.RequestStream {
	t.Helper()
	select {
	case <-c.ReceivedSettings():
	case <-time.After(20 * time.Second):
		t.Fatal("no settings")
	}
	str, err := c.OpenRequestStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.url("/socket.io/?EIO=4&transport=webtransport"))
	if err != nil {
		t.Fatal(err)
	}
	r := (&http.Request{Method: http.MethodConnect, Proto: "webtransport-h3", Host: u.Host, URL: u, Header: http.Header{}}).WithContext(t.Context())
	if err := str.SendRequestHeader(r); err != nil {
		t.Fatal(err)
	}
	response, err := str.ReadResponse()
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	return str
}

// begun is a session in which a client has begun to speak.
func (c *raw3) begun(t *testing.T, s *Server) (session *http3.RequestStream, stream *quic.Stream) {
	t.Helper()
	session = c.session(t, s)
	stream, err := c.conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hello := quicvarint.Append(quicvarint.Append(nil, 0x41), uint64(session.StreamID()))
	for _, packet := range []string{"0", "40"} {
		hello = append(append(hello, byte(len(packet))), packet...)
	}
	if _, err := stream.Write(hello); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is in", func() bool { return len(s.registry.All()) > 0 })
	return session, stream
}

// capsule is a capsule (RFC 9297 section 3.2) that says that it is so long.
func capsule(kind, length uint64, value string) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), length), value...)
}

const closeSession = 0x2843 // CLOSE_WEBTRANSPORT_SESSION

// What is wrong with a session, or a connection, costs the one or the other: others go on, and nothing of it stays.
func TestHostileWebTransport(t *testing.T) {
	s, roots := startHTTP3(t, Config{HeaderTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second})
	other := over3(t, roots, nil)
	if err := publishOver(other, s.url("/c/b"), "x"); err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	for name, attack := range map[string]func(t *testing.T, c *raw3){
		"a reason that is too long": func(t *testing.T, c *raw3) {
			session, _ := c.begun(t, s)
			reason := string(binary.BigEndian.AppendUint32(nil, 7)) + strings.Repeat("x", 5000)
			_, _ = session.Write(capsule(closeSession, uint64(len(reason)), reason))
			eventually(t, "the session ends", func() bool { return s.used() == 0 })
		},
		"a close of 2^62 bytes": func(t *testing.T, c *raw3) {
			session, _ := c.begun(t, s)
			_, _ = session.Write(capsule(closeSession, 1<<62-1, strings.Repeat("x", 100_000)))
		},
		"an unknown capsule of 2^62 bytes": func(t *testing.T, c *raw3) {
			session, _ := c.begun(t, s)
			_, _ = session.Write(capsule(0x1234, 1<<62-1, strings.Repeat("x", 100_000)))
		},
		"half a capsule": func(t *testing.T, c *raw3) {
			session, _ := c.begun(t, s)
			_, _ = session.Write([]byte{0xff})
			_ = session.Close()
		},
		"streams of a session that is not there": func(t *testing.T, c *raw3) {
			c.begun(t, s)
			for i := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				str, err := c.conn.OpenStreamSync(ctx)
				if err == nil {
					_, _ = str.Write(append(quicvarint.Append(quicvarint.Append(nil, 0x41), uint64(400+4*i)), "hello"...))
				}
				if str, err := c.conn.OpenUniStream(); err == nil {
					_, _ = str.Write(append(quicvarint.Append(quicvarint.Append(nil, 0x54), uint64(400+4*i)), "hello"...))
				}
				cancel()
				if err != nil {
					break // the server has had enough, or grants no more
				}
			}
		},
		"a stream that is no session": func(t *testing.T, c *raw3) {
			c.begun(t, s)
			if str, err := c.conn.OpenStreamSync(t.Context()); err == nil {
				_, _ = str.Write(append(quicvarint.Append(quicvarint.Append(nil, 0x41), 1<<62-1), "hello"...)) // a unidirectional one
			}
		},
		"a stream before its session": func(t *testing.T, c *raw3) {
			first, err := c.conn.OpenStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = first.Write(append(quicvarint.Append(quicvarint.Append(nil, 0x41), uint64(first.StreamID())+4), "\x010"...))
			c.session(t, s) // gets that stream, or none
		},
		"datagrams": func(t *testing.T, c *raw3) {
			session, _ := c.begun(t, s)
			for i := range 20_000 {
				if i%2 == 0 {
					_ = session.SendDatagram(make([]byte, 1000))
				} else if err := c.conn.SendDatagram(append(quicvarint.Append(nil, uint64(i)), "x"...)); err != nil && c.conn.Context().Err() != nil {
					break
				}
			}
		},
		"streams without end": func(t *testing.T, c *raw3) {
			session, _ := c.begun(t, s)
			for range 2000 {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				str, err := c.conn.OpenStreamSync(ctx)
				cancel()
				if err != nil {
					break // the server has had enough, or grants no more
				}
				_, _ = str.Write(append(quicvarint.Append(quicvarint.Append(nil, 0x41), uint64(session.StreamID())), "hello"...))
				str.CancelRead(0)
				str.CancelWrite(0)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw3(t, s, roots, nil)
			attack(t, c)
			if err := publishOver(other, s.url("/c/b"), "x"); err != nil {
				t.Errorf("another client: %v", err)
			}
			if n := runtime.NumGoroutine(); n > goroutines+1000 {
				t.Errorf("%d goroutines, %d before", n, goroutines)
			}
			_ = c.conn.CloseWithError(0, "")
			eventually(t, "nothing is left", func() bool {
				return s.used() == 0 && s.connections.open.Load() == 1 && runtime.NumGoroutine() <= goroutines+8
			})
		})
	}
}

// Whoever lets the server send nothing, and is sent too much, is cut, though closing takes its leave to send as well.
func TestWebTransportWithheld(t *testing.T) {
	s, roots := startHTTP3(t, Config{QueueBytes: 64 << 10, WriteTimeout: 2 * time.Second, Heartbeat: 2 * time.Second})
	c := dialRaw3(t, s, roots, &quic.Config{InitialStreamReceiveWindow: 4096, MaxStreamReceiveWindow: 4096, InitialConnectionReceiveWindow: 16384, MaxConnectionReceiveWindow: 16384})
	_, stream := c.begun(t, s)
	subscribe := `42["subscribe","a"]`
	if _, err := stream.Write(append([]byte{byte(len(subscribe))}, subscribe...)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has subscribed", func() bool { info, err := s.Hub().Info("a"); return err == nil && info.Subscribers == 1 })
	big := strings.Repeat("x", 10_000)
	eventually(t, "it is cut", func() bool {
		publishText(t, s, "a", big)
		return s.used() == 0
	})
	_ = c.conn.CloseWithError(0, "")
	eventually(t, "nothing is left", func() bool { return s.connections.open.Load() == 0 })
}
