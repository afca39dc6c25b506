package ws_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"baro.dev/ws"
)

// A link makes both ends of a connection, over one kind of stream.
type link struct {
	name         string
	open         func(t testing.TB, o ws.AcceptOptions) (client, server *ws.Conn)
	compressions []string // to be tried over it; those in memory cannot negotiate any
}

var links = []link{
	{"pipe", openPipe, []string{"plain"}},
	{"stream", openStream, []string{"plain"}},
	{"ws", overHTTP("ws"), []string{"plain", "deflate", "takeover"}},
	{"wss", overHTTP("wss"), []string{"takeover"}},
	{"h2", overHTTP("h2"), []string{"deflate"}},
}

// compressions are the ways of compressing.
var compressions = map[string]ws.Compression{
	"plain":    {},
	"deflate":  {Enabled: true},
	"takeover": {Enabled: true, ContextTakeover: true},
}

// eachLink runs test over every kind of stream.
func eachLink(t *testing.T, o ws.AcceptOptions, test func(t *testing.T, client, server *ws.Conn)) {
	t.Helper()
	for _, l := range links {
		for _, name := range l.compressions {
			t.Run(l.name+"/"+name, func(t *testing.T) {
				o := o
				o.Compression = compressions[name]
				client, server := l.open(t, o)
				test(t, client, server)
			})
		}
	}
}

func overHTTP(how string) func(testing.TB, ws.AcceptOptions) (_, _ *ws.Conn) {
	return func(t testing.TB, o ws.AcceptOptions) (_, _ *ws.Conn) { return openHTTP(t, o, how) }
}

// cleanClose ends both ends with the test.
func cleanClose(t testing.TB, conns ...*ws.Conn) {
	t.Cleanup(func() {
		for _, c := range conns {
			c.CloseNow()
		}
	})
}

// openPipe is a net.Conn without a descriptor.
func openPipe(t testing.TB, o ws.AcceptOptions) (client, server *ws.Conn) {
	a, b := net.Pipe()
	client, server = ws.NewConn(a, true, "", &o), ws.NewConn(b, false, "", &o)
	cleanClose(t, client, server)
	return client, server
}

// openStream is a stream without deadlines.
func openStream(t testing.TB, o ws.AcceptOptions) (client, server *ws.Conn) {
	type stream struct{ io.ReadWriteCloser }
	a, b := net.Pipe()
	client, server = ws.NewConn(stream{a}, true, "", &o), ws.NewConn(stream{b}, false, "", &o)
	cleanClose(t, client, server)
	return client, server
}

// openHTTP goes through the opening handshake, over HTTP/1.1, HTTPS or HTTP/2.
func openHTTP(t testing.TB, o ws.AcceptOptions, how string) (client, server *ws.Conn) {
	t.Helper()
	accepted := make(chan *ws.Conn, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &o)
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		accepted <- c
		<-c.Done()
	})
	d := &ws.DialOptions{}
	var url string
	switch how {
	case "ws":
		url = serve(t, handler)
	case "wss":
		u, roots := serveTLS(t, handler)
		url, d = u, overTLS(roots)
	case "h2":
		u, roots := serveTLS(t, handler)
		url, d = u, overHTTP2(t, roots)
	}
	d.Compression, d.Limits, d.Keepalive, d.Queue = o.Compression, o.Limits, o.Keepalive, o.Queue
	client, _, err := ws.Dial(t.Context(), url, d)
	if err != nil {
		t.Fatal(err)
	}
	server = <-accepted
	cleanClose(t, client, server)
	return client, server
}

// overTLS returns options to dial a server with its own roots.
func overTLS(roots *x509.CertPool) *ws.DialOptions {
	return &ws.DialOptions{TLS: &tls.Config{RootCAs: roots}}
}

// openRaw is a connection of the server whose peer is bytes alone.
func openRaw(t testing.TB, o ws.AcceptOptions) (server *ws.Conn, peer net.Conn) {
	a, b := net.Pipe()
	server = ws.NewConn(a, false, "", &o)
	cleanClose(t, server)
	t.Cleanup(func() { b.Close() })
	return server, b
}

// A rawFrame is an unmasked frame as it was on the wire.
type rawFrame struct {
	fin     bool
	opcode  byte
	payload string
}

// readFrame reads a frame of a server.
func readFrame(t testing.TB, r io.Reader) rawFrame {
	t.Helper()
	var h [10]byte
	read := func(p []byte) {
		t.Helper()
		if _, err := io.ReadFull(r, p); err != nil {
			t.Fatal(err)
		}
	}
	read(h[:2])
	length := uint64(h[1])
	switch length {
	case 126:
		read(h[2:4])
		length = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		read(h[2:10])
		length = binary.BigEndian.Uint64(h[2:])
	}
	payload := make([]byte, length)
	read(payload)
	return rawFrame{h[0]&0x80 != 0, h[0] & 0x7F, string(payload)}
}

// mustRead reads a message and compares it.
func mustRead(t testing.TB, c *ws.Conn, want string) {
	t.Helper()
	m, err := c.Read(context.Background())
	if err != nil {
		t.Fatalf("reading %.40q: %v", want, err)
	}
	if m.String() != want {
		t.Fatalf("read %.40q of %d bytes, want %.40q of %d", m.Data, len(m.Data), want, len(want))
	}
}

// mustWrite writes a message.
func mustWrite(t testing.TB, c *ws.Conn, text string) {
	t.Helper()
	if err := c.Write(context.Background(), ws.Text, []byte(text)); err != nil {
		t.Fatalf("writing %.40q: %v", text, err)
	}
}

// writeSoon writes a message while the test goes on.
func writeSoon(t testing.TB, c *ws.Conn, text string) {
	go func() {
		if err := c.Write(context.Background(), ws.Text, []byte(text)); err != nil {
			t.Errorf("writing %.40q: %v", text, err)
		}
	}()
}

// text is n bytes that are easily told from others and compress neither well nor badly.
func text(n int, seed byte) string {
	return texts()[int(seed)*997:][:n]
}

// texts is made once.
var texts = sync.OnceValue(func() string {
	b := make([]byte, 1<<20)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%23
	}
	return string(b)
})

// cancelled returns a context that is done.
func cancelled() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCancelled)
	return ctx
}

var errCancelled = errors.New("cancelled by the test")
