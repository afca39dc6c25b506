package wsh3_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
	"baro.dev/ws/wsh3"
)

// What the handler of the server sees, and what the client does.
func TestRequest(t *testing.T) {
	testkit.NoLeaks(t)
	accept := streamtest.Echoes(ws.AcceptOptions{})["Server"]
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Proto != "websocket" || r.ProtoMajor != 3 || r.Host != "example.com" ||
			r.RequestURI != "/chat?room=1" || r.Header.Get("Cookie") != "a=b" {
			t.Errorf("%s %s %s of %s, header %v", r.Method, r.RequestURI, r.Proto, r.Host, r.Header)
		}
		w.Header().Set("Server-Says", "hi")
		w.WriteHeader(http.StatusEarlyHints) // RFC 9220 does not keep a server from informational answers
		accept.ServeHTTP(w, r)
	}), nil)
	c, resp, err := ws.Dial(t.Context(), s.url+"/chat?room=1", &ws.DialOptions{
		Streams: s.streams(t),
		Header:  http.Header{"Host": {"example.com"}, "Cookie": {"a=b"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 3 || resp.TLS == nil || resp.Request == nil ||
		resp.Header.Get("Server-Says") != "hi" {
		t.Errorf("%+v", resp)
	}
	echo(t, c, "hello")
}

// The context is for Dial alone.
func TestContext(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, _, err := ws.Dial(ctx, s.url, &ws.DialOptions{Streams: s.streams(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	cancel()
	echo(t, c, "hello")
}

func TestNotHTTPS(t *testing.T) {
	_, _, err := ws.Dial(t.Context(), "ws://127.0.0.1", &ws.DialOptions{Streams: new(wsh3.Streams)})
	if err == nil || !strings.Contains(err.Error(), "always encrypted") {
		t.Error(err)
	}
}

// A certificate that nobody vouches for is refused.
func TestUntrusted(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t)
	streams := new(wsh3.Streams)
	defer streams.Close()
	_, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: streams})
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("%T %v", err, err)
	}
}

// A name can have several addresses, of which not all answer.
func TestName(t *testing.T) {
	testkit.NoLeaks(t)
	s := echoServer(t)
	_, port, err := net.SplitHostPort(s.socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	streams := s.streams(t)
	streams.Transport.TLSClientConfig.ServerName = "example.com"
	echo(t, open(t, "wss://localhost:"+port, streams), "hello")
}

// Nobody listens there, and UDP does not say so.
func TestNobody(t *testing.T) {
	testkit.NoLeaks(t)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	streams := new(wsh3.Streams)
	defer streams.Close()
	_, _, err = ws.Dial(t.Context(), "wss://"+socket.LocalAddr().String(), &ws.DialOptions{
		Streams: streams,
		Limits:  ws.Limits{HandshakeTimeout: 100 * time.Millisecond},
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// quicServer is a QUIC server on the loopback interface that knows nothing of HTTP/3; handle does.
func quicServer(t *testing.T, handle func(c *quic.Conn)) (url string, streams *wsh3.Streams) {
	t.Helper()
	cert, roots := certificate(t)
	l, err := quic.ListenAddr("127.0.0.1:0", http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{cert}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept(t.Context())
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	streams = &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(func() {
		streams.Close()
		l.Close()
		<-done
	})
	return "wss://" + l.Addr().String(), streams
}

// control sends bytes on a unidirectional stream.
func control(t *testing.T, c *quic.Conn, p ...byte) {
	str, err := c.OpenUniStream()
	if err != nil {
		t.Error(err)
		return
	}
	str.Write(p)
	<-c.Context().Done()
}

// RFC 8441 3, RFC 9220 3: a client must not send an extended CONNECT before it has received the setting that allows it.
func TestNotOffered(t *testing.T) {
	testkit.NoLeaks(t)
	url, streams := quicServer(t, func(c *quic.Conn) {
		go func() {
			if str, err := c.AcceptStream(context.Background()); err == nil {
				t.Errorf("a request on stream %d", str.StreamID())
			}
		}()
		control(t, c, 0x00, 0x04, 0x00) // a control stream with empty SETTINGS (RFC 9114 6.2.1, 7.2.4)
	})
	for range 2 {
		_, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{Streams: streams})
		if !errors.Is(err, wsh3.ErrNotOffered) {
			t.Error(err)
		}
	}
}

// A server that never says what it offers.
func TestNoSettings(t *testing.T) {
	testkit.NoLeaks(t)
	url, streams := quicServer(t, func(c *quic.Conn) { <-c.Context().Done() })
	_, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{
		Streams: streams,
		Limits:  ws.Limits{HandshakeTimeout: 200 * time.Millisecond},
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// Servers that speak something else than HTTP/3.
func TestNotHTTP3(t *testing.T) {
	for name, p := range map[string][]byte{
		"no settings first": {0x00, 0x00, 0x01, 0x00},
		"settings twice":    {0x00, 0x04, 0x00, 0x04, 0x00},
		"reserved setting":  {0x00, 0x04, 0x02, 0x02, 0x00},
		"cut short":         {0x00, 0x04},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			url, streams := quicServer(t, func(c *quic.Conn) { control(t, c, p...) })
			_, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{
				Streams: streams,
				Limits:  ws.Limits{HandshakeTimeout: 500 * time.Millisecond},
			})
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

// A server that accepts a request and says nothing, or says 1xx for ever.
func TestNoAnswer(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"1xx": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusProcessing)
			}
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			s := serve(t, handler, nil)
			_, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{
				Streams: s.streams(t),
				Limits:  ws.Limits{HandshakeTimeout: 500 * time.Millisecond},
			})
			if err == nil || name == "nothing" && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// The body of a refusal is what the server sent, and what a WebSocket carries all the more.
func TestNotGunzipped(t *testing.T) {
	for accepted, want := range map[string]string{"": "identity", "gzip": "gzip"} {
		t.Run(want, func(t *testing.T) {
			testkit.NoLeaks(t)
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header["Accept-Encoding"]; len(got) != 1 || got[0] != want {
					t.Errorf("Accept-Encoding: %q", got)
				}
				w.Header().Set("Content-Encoding", "gzip")
				w.WriteHeader(http.StatusForbidden)
				z := gzip.NewWriter(w)
				io.WriteString(z, "no entry")
				z.Close()
			}), nil)
			header := http.Header{}
			if accepted != "" {
				header.Set("Accept-Encoding", accepted)
			}
			_, resp, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: s.streams(t), Header: header})
			if he, ok := errors.AsType[*ws.HandshakeError](err); !ok || he.Status != http.StatusForbidden {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(z); err != nil || string(body) != "no entry" {
				t.Errorf("body %q, %v", body, err)
			}
		})
	}
}
