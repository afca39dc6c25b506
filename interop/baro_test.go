package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"

	_ "baro.dev/internal/extendedconnect" // WebSocket over HTTP/2
	"baro.dev/ws"
)

// conn is what *ws.Conn and *ws.Socket have in common.
type conn interface {
	Write(ctx context.Context, t ws.MessageType, data []byte) error
	Writer(ctx context.Context, t ws.MessageType) (io.WriteCloser, error)
	Subprotocol() string
	Compressed() bool
}

// baro is an end made with package ws.
type baro struct {
	t    *testing.T
	seen chan event
	conn
}

// opened has to be called before anything else happens on c.
func (b *baro) opened(c conn, proto string) {
	b.conn = c
	open := event{Event: "open", Proto: proto, Subprotocol: c.Subprotocol()}
	if c.Compressed() {
		open.Extensions = "permessage-deflate"
	}
	b.seen <- open
}

// received takes a message whose data is lent.
func (b *baro) received(m ws.Message) {
	b.seen <- event{Event: "message", Kind: m.Type.String(), Data: slices.Clone(m.Data)}
}

func (b *baro) closed(err error) {
	ev := event{Event: "close", Message: err.Error()}
	if closed, ok := errors.AsType[*ws.CloseError](err); ok {
		ev.Code, ev.Reason = int(closed.Code), closed.Reason
	}
	b.seen <- ev
}

func (b *baro) events() <-chan event { return b.seen }

func (b *baro) send(kind string, parts ...[]byte) {
	b.t.Helper()
	if err := b.write(kind, parts); err != nil {
		b.t.Errorf("send: %v", err)
	}
}

func (b *baro) write(kind string, parts [][]byte) error {
	typ := ws.Text
	if kind == "binary" {
		typ = ws.Binary
	}
	if len(parts) == 1 {
		return b.Write(b.t.Context(), typ, parts[0])
	}
	w, err := b.Writer(b.t.Context(), typ)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// baroConn is an end that is read by calls.
type baroConn struct {
	baro
	c *ws.Conn
}

func newBaroConn(t *testing.T) *baroConn {
	return &baroConn{baro: baro{t: t, seen: make(chan event, 4096)}}
}

// run reads until the connection has ended.
func (b *baroConn) run(c *ws.Conn, proto string) {
	b.c = c
	b.opened(c, proto)
	for m, err := range c.Messages(context.Background()) {
		if err != nil {
			break
		}
		b.received(m)
	}
	<-c.Done()
	b.closed(c.Err())
}

func (b *baroConn) ping() {
	go func() {
		if _, err := b.c.Ping(b.t.Context()); err != nil {
			b.t.Errorf("ping: %v", err)
			return
		}
		b.seen <- event{Event: "pong"}
	}()
}

func (b *baroConn) close(code int, reason string) {
	go func() {
		if err := b.c.Close(context.Background(), ws.StatusCode(code), reason); err != nil {
			b.t.Errorf("close: %v", err)
		}
	}()
}

// baroSocket is an end whose server calls handlers.
type baroSocket struct {
	baro
	s *ws.Socket
}

func (b *baroSocket) close(code int, reason string) {
	if err := b.s.Close(ws.StatusCode(code), reason); err != nil {
		b.t.Errorf("close: %v", err)
	}
}

// dialBaro makes a client.
func dialBaro(t *testing.T, o options) end {
	t.Helper()
	dial := &ws.DialOptions{Subprotocols: o.Subprotocols, Compression: compression(o.Deflate)}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			t.Fatal(err)
		}
		dial.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		dial.TLS.RootCAs.AppendCertsFromPEM(pem)
	}
	c, resp, err := ws.Dial(t.Context(), o.URL, dial)
	if err != nil {
		t.Fatal(err)
	}
	b := newBaroConn(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.run(c, resp.Proto)
	}()
	t.Cleanup(func() {
		c.CloseNow()
		<-done
	})
	return b
}

// listenBaroConn makes a server with ws.Accept.
func listenBaroConn(t *testing.T, o options) (end, string) {
	t.Helper()
	b := newBaroConn(t)
	accept := acceptOptions(o)
	return b, serve(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &accept)
		if err != nil {
			b.seen <- event{Event: "refused", Message: err.Error()}
			return
		}
		defer c.CloseNow()
		b.run(c, r.Proto)
	}))
}

// listenBaroSocket makes a server with ws.Server.
func listenBaroSocket(t *testing.T, o options) (end, string) {
	t.Helper()
	b := &baroSocket{baro: baro{t: t, seen: make(chan event, 4096)}}
	server := &ws.Server{
		Options: acceptOptions(o),
		OnOpen: func(c *ws.Socket, r *http.Request) {
			b.s = c
			b.opened(c, r.Proto)
		},
		OnMessage: func(_ *ws.Socket, m ws.Message) { b.received(m) },
		OnClose:   func(_ *ws.Socket, err error) { b.closed(err) },
	}
	t.Cleanup(func() { _ = server.Close() })
	return b, serve(t, o, server)
}

// serve serves WebSockets at /, and an empty page at /page for a browser to start from. It returns the URL of the former.
func serve(t *testing.T, o options, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><title>page</title>`)
	})
	server := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(o.http2)
	t.Cleanup(func() { server.Close() })
	scheme := "ws"
	if o.Cert != "" {
		scheme = "wss"
		go func() { _ = server.ServeTLS(l, o.Cert, o.Key) }()
	} else {
		go func() { _ = server.Serve(l) }()
	}
	return scheme + "://" + l.Addr().String() + "/"
}

func acceptOptions(o options) ws.AcceptOptions {
	return ws.AcceptOptions{Subprotocols: o.Subprotocols, Compression: compression(o.Deflate)}
}

func compression(d *deflate) ws.Compression {
	if d == nil {
		return ws.Compression{}
	}
	return ws.Compression{
		Enabled:         true,
		Threshold:       -1,
		ContextTakeover: d.Takeover,
		WindowBits:      d.Bits,
		PeerWindowBits:  d.PeerBits,
	}
}
