package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"

	"baro.dev/engineio"
	"baro.dev/engineio/webtransport"
	"baro.dev/internal/testkit"
	"baro.dev/interop/roles"
	"baro.dev/socketio"
	sio "baro.dev/socketio/client"
)

// overUDP are servers that have WebTransport: start returns the URL, where HTTP/3 is, and what is trusted.
//
// That of the official engine.io takes sessions from a package whose part in C++ is no npm package. Here HTTP/3 is done before it, by a
// relay; the session, its frames and the upgrade are the official server's.
var overUDP = map[string]func(t *testing.T) (url, udp string, trust *tls.Config){
	"node": func(t *testing.T) (string, string, *tls.Config) {
		cert, key, roots := testkit.Certificate(t)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		server := await(t, "server", node(t, "socketio/server.mjs", map[string]string{"role": "webtransport", "cert": cert, "key": key}), "listening")
		return server.URL, relay(t, pair, server.Streams), &tls.Config{RootCAs: roots}
	},
	"baro": func(t *testing.T) (string, string, *tls.Config) {
		cert, key, roots := testkit.Certificate(t)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		handler, end := roles.Clients(func(o *socketio.Options) {
			o.Engine.Transports = []string{engineio.Polling, engineio.WebSocket, engineio.WebTransport}
		})
		tcp, udp := tcpListener(t), webtransport.NewServer(handler, &tls.Config{Certificates: []tls.Certificate{pair}})
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		overTCP := &http.Server{Handler: handler, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = overTCP.Serve(tls.NewListener(tcp, &tls.Config{Certificates: []tls.Certificate{pair}})) }()
		go func() { _ = udp.Serve(packets) }()
		t.Cleanup(func() {
			end()
			_ = overTCP.Close()
			_ = udp.Close()
		})
		return "https://" + tcp.Addr().String(), packets.LocalAddr().String(), &tls.Config{RootCAs: roots}
	},
}

func tcpListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// relay carries the first stream of each session of WebTransport to an address of TCP; whoever ends one ends the other.
func relay(t *testing.T, pair tls.Certificate, to string) (udp string) {
	t.Helper()
	server := &wt.Server{H3: &http3.Server{TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}})}}
	server.H3.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := server.Upgrade(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		defer session.CloseWithError(0, "")
		stream, err := session.AcceptStream(r.Context())
		if err != nil {
			return
		}
		conn, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		go func() {
			_, _ = io.Copy(conn, stream)
			conn.Close()
		}()
		_, _ = io.Copy(stream, conn)
		_ = stream.Close()
		select { // the client closes the session when it has read to the end
		case <-session.Context().Done():
		case <-time.After(patience):
		}
	})
	wt.ConfigureHTTP3Server(server.H3)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(packets) }()
	t.Cleanup(func() {
		_ = server.Close()
		packets.Close()
	})
	return packets.LocalAddr().String()
}

// TestSocketIOClientWebTransport has our client use a server over WebTransport, which it begins with or goes over to.
func TestSocketIOClientWebTransport(t *testing.T) {
	for server, start := range overUDP {
		for name, transports := range map[string][]string{
			"direct":  {"webtransport"},
			"upgrade": {"polling", "webtransport"},
			"best":    {"polling", "websocket", "webtransport"},
		} {
			t.Run(server+"/"+name, func(t *testing.T) {
				t.Parallel()
				base, udp, trust := start(t)
				open := webtransport.Stream(trust)
				g := &goClient{T: t, url: base, last: "webtransport", full: server == "node"}
				g.base.Engine.Transports, g.base.Engine.TLS = transports, trust
				g.base.Engine.OpenStream = func(ctx context.Context, u *url.URL, h http.Header) (io.ReadWriteCloser, error) {
					there := *u
					there.Host = udp
					return open(ctx, &there, h)
				}
				t.Run("connects", g.connects) // which sees the upgrade and a ping
				if name == "best" {
					return
				}
				t.Run("acknowledgements", g.acknowledgements)
				t.Run("is closed", g.isClosed)
				if name == "upgrade" {
					return
				}
				t.Run("values", g.values)
				t.Run("namespaces", g.namespaces)
				t.Run("refused", g.refused)
				t.Run("disconnected", g.disconnected)
				t.Run("comes back", g.comesBack)
				t.Run("large", g.large)
			})
		}
	}
}

// isClosed has the client close, of which the server learns, having got all that was sent.
func (g *goClient) isClosed(t *testing.T) {
	s, other := g.ready(t, "", nil), g.ready(t, "", nil)
	for s.Manager().Engine().Transport() != g.last {
		time.Sleep(time.Millisecond) // there is no event for it
	}
	var id string
	if tell(t, s, &id, "ack", s.ID()); id == "" {
		t.Fatal("no id")
	}
	blob, back := bytes.Repeat([]byte{7}, 100_000), make(chan []byte, 1)
	sio.Listen(s, "echo", func(_ context.Context, b []byte) error {
		back <- b
		return nil
	})
	if err := s.Emit("echo", blob); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(within(t, "the echo", back), blob) {
		t.Error("it came back changed")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	within(t, "the end", s.Manager().Done())
	var why string
	tell(t, other, &why, "reason", id)
	if !slices.Contains([]string{"transport close", "transport error", "client namespace disconnect"}, why) {
		t.Error(why)
	}
}
