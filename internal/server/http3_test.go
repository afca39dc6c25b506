package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/channel"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/wsh3"
)

// startHTTP3 runs a server with TLS, and gives the roots that trust it.
func startHTTP3(t *testing.T, config Config) (*Server, *x509.CertPool) {
	t.Helper()
	var roots *x509.CertPool
	config.TLSCert, config.TLSKey, roots = testkit.Certificate(t)
	config.HTTP3 = true
	return start(t, config), roots
}

// over3 is a client with one connection of HTTP/3 of its own.
func over3(t *testing.T, roots *x509.CertPool, config *quic.Config) *http.Client {
	t.Helper()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, QUICConfig: config}
	t.Cleanup(func() { _ = transport.Close() })
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func overTCP(t *testing.T, roots *x509.CertPool) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func streams3(t *testing.T, roots *x509.CertPool) *wsh3.Streams {
	t.Helper()
	s := &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// publishOver publishes over c.
func publishOver(c *http.Client, url, body string) error {
	response, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d, %s", response.StatusCode, answer)
	}
	return err
}

// Every transport is there over HTTP/3, and loses nothing when it is cut.
func TestHTTP3Transports(t *testing.T) {
	const publishers, each = 2, 150
	s, roots := startHTTP3(t, Config{Channels: channel.Options{HistoryCount: publishers * each}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	streams := streams3(t, roots)
	var wg sync.WaitGroup
	for name, read := range readers {
		c := over3(t, roots, nil)
		if name == "WebSocket" {
			read = func(ctx context.Context, _ *http.Client, url, after string, accept func(channel.Message) bool) error {
				return readWebSocketWith(ctx, streams, url, after, accept)
			}
		}
		wg.Go(func() {
			if err := readAll(ctx, c, s.url("/c/all"), read, publishers, each); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for p := range publishers {
		c := over3(t, roots, nil)
		wg.Go(func() {
			for i := range each {
				kind := []string{"text/plain", "application/octet-stream"}[i%2]
				response, err := c.Post(s.url("/c/all?event=e"), kind, strings.NewReader(fmt.Sprintf("%d/%d", p, i)))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK || response.ProtoMajor != 3 {
					t.Errorf("status %d by %s", response.StatusCode, response.Proto)
				}
			}
		})
	}
	wg.Wait()
}

// Who comes over TCP is told of HTTP/3, if there is any.
func TestAltSvc(t *testing.T) {
	cert, key, roots := testkit.Certificate(t)
	for _, test := range []struct {
		name   string
		config Config
		http2  bool
		want   bool
	}{
		{"HTTP/1.1", Config{TLSCert: cert, TLSKey: key, HTTP3: true}, false, true},
		{"HTTP/2", Config{TLSCert: cert, TLSKey: key, HTTP3: true}, true, true},
		{"left out", Config{TLSCert: cert, TLSKey: key, NoHTTP3: true}, true, false},
		{"no TLS", Config{}, false, false},
	} {
		s := start(t, test.config)
		c := overTCP(t, roots)
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = test.http2
		_, port, err := net.SplitHostPort(s.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if test.want {
			want = `h3=":` + port + `"; ma=2592000`
		}
		// UDP is served a moment later than TCP may be.
		eventually(t, test.name+" says "+want, func() bool {
			response, err := c.Get(s.url("/livez"))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			return response.Header.Get("Alt-Svc") == want && (response.ProtoMajor == 2) == test.http2
		})
		if body := handshake(t, c, s.url("/socket.io/?EIO=4&transport=polling")); strings.Contains(body, `"webtransport"`) != test.want {
			t.Errorf("%s: Socket.IO is offered %s", test.name, body)
		}
	}
	s, roots := startHTTP3(t, Config{})
	response, err := over3(t, roots, nil).Get(s.url("/livez"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if value := response.Header.Get("Alt-Svc"); value != "" {
		t.Errorf("over HTTP/3: %q", value)
	}
}

func handshake(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	response, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, body := read(t, response)
	return body
}

// One stream that is not read holds up no other of the connection, and does not look whole when it is cut.
func TestHTTP3SlowReader(t *testing.T) {
	s, roots := startHTTP3(t, Config{QueueBytes: 300_000, Channels: channel.Options{HistoryBytes: 64 << 20}})
	c := over3(t, roots, &quic.Config{InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 64 << 10})
	var streams []*events
	for range 3 {
		response, err := open(t.Context(), c, s.url("/c/a"), typeSSE)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		streams = append(streams, newEvents(response.Body))
	}
	unread, err := open(t.Context(), c, s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Body.Close()
	if n := s.connections.open.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	text := strings.Repeat("x", 50_000)
	for i := 0; s.used() > 3; i++ {
		if i > 1000 {
			t.Fatal("the stream that is not read is not cut")
		}
		publishText(t, s, "a", text)
		for j, stream := range streams {
			if e, err := stream.next(); err != nil || e.data != text {
				t.Fatalf("stream %d, message %d: %d bytes, %v", j, i, len(e.data), err)
			}
		}
	}
	if _, err := io.Copy(io.Discard, unread.Body); err == nil {
		t.Error("the stream that was cut looks whole")
	}
}

// A poll whose answer is not accepted in time ends alone, and does not look whole.
func TestHTTP3SlowPoll(t *testing.T) {
	s, roots := startHTTP3(t, Config{WriteTimeout: 300 * time.Millisecond, Channels: channel.Options{HistoryBytes: 64 << 20}})
	for range 10 {
		publishText(t, s, "a", strings.Repeat("x", 100_000))
	}
	c := over3(t, roots, &quic.Config{InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 64 << 10})
	response, err := open(t.Context(), c, s.url("/c/a"), typeJSON)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	time.Sleep(time.Second) // being slow is what this is about
	var cut *http3.Error
	if _, err := io.Copy(io.Discard, response.Body); !errors.As(err, &cut) || cut.ErrorCode != http3.ErrCodeInternalError {
		t.Errorf("the answer ends with %v", err)
	}
	if err := publishOver(c, s.url("/c/b"), "x"); err != nil { // over the same connection
		t.Error(err)
	}
	if n := s.connections.open.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestHTTP3Bounds(t *testing.T) {
	s, roots := startHTTP3(t, Config{MaxConnections: 2, MaxHeaderBytes: 8 << 10})
	tcp := dial(t, s)
	eventually(t, "it is counted", func() bool { return s.connections.open.Load() == 1 })
	first := over3(t, roots, nil)
	if err := publishOver(first, s.url("/c/a"), "x"); err != nil {
		t.Fatal(err)
	}
	second := over3(t, roots, nil)
	var refused *quic.TransportError
	if err := publishOver(second, s.url("/c/a"), "x"); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("one connection too many: %v", err)
	}
	tcp.Close()
	eventually(t, "there is room again", func() bool { return publishOver(second, s.url("/c/a"), "x") == nil })

	r, err := http.NewRequest(http.MethodGet, s.url("/c/a"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("A", strings.Repeat("a", 10_000))
	response, err := first.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long head: status %d", response.StatusCode)
	}
	r, err = http.NewRequest(http.MethodGet, s.url("/c/a"), strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if response, err = first.Do(r); err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	status, body := read(t, response)
	wantError(t, status, body, http.StatusBadRequest, "unexpected_body")
}

// A connection over which nothing comes, or no whole head, is let go.
func TestHTTP3Time(t *testing.T) {
	s, roots := startHTTP3(t, Config{IdleTimeout: 300 * time.Millisecond, HeaderTimeout: time.Second})
	silent := dialQUIC(t, s, roots)
	partial := dialQUIC(t, s, roots)
	str, err := partial.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write([]byte{1, 40, 0, 0}); err != nil { // the beginning of a HEADERS frame of 40 bytes
		t.Fatal(err)
	}
	for name, c := range map[string]*quic.Conn{"silent": silent, "half a head": partial} {
		testkit.Within(t, name+" is let go", c.Context().Done())
		var end *quic.ApplicationError
		if err := context.Cause(c.Context()); !errors.As(err, &end) || end.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A handshake that is not gone on with is over, too.
	c, err := net.Dial("udp", s.http3.socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tapped := &tap{PacketConn: silentSocket(t), to: c}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := quic.Dial(ctx, tapped, c.RemoteAddr(), h3(roots), nil); err == nil {
		t.Error("it has connected without an answer")
	}
	eventually(t, "none is left", func() bool { return s.connections.open.Load() == 0 })
}

func h3(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, NextProtos: []string{http3.NextProtoH3}, ServerName: "localhost"}
}

func dialQUIC(t *testing.T, s *Server, roots *x509.CertPool) *quic.Conn {
	t.Helper()
	c, err := quic.DialAddr(t.Context(), s.listener.Addr().String(), h3(roots), &quic.Config{EnableDatagrams: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseWithError(0, "") })
	return c
}

// tap sends by a socket that nobody reads.
type tap struct {
	net.PacketConn
	to net.Conn
}

func (c *tap) WriteTo(p []byte, _ net.Addr) (int, error) { return c.to.Write(p) }
func (c *tap) SetReadBuffer(int) error                   { return nil }
func (c *tap) SetWriteBuffer(int) error                  { return nil }

func silentSocket(t *testing.T) net.PacketConn {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return socket
}

// What could be sent again by somebody who has recorded it is not taken before the handshake is over.
func TestHTTP3No0RTT(t *testing.T) {
	s, roots := startHTTP3(t, Config{})
	config := h3(roots)
	tickets := make(chan struct{}, 8)
	config.ClientSessionCache = &ticketCache{tls.NewLRUClientSessionCache(1), tickets}
	for i := range 2 {
		c, err := quic.DialAddrEarly(t.Context(), s.listener.Addr().String(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		testkit.Within(t, "the handshake", c.HandshakeComplete())
		state := c.ConnectionState()
		if state.Used0RTT || state.TLS.DidResume != (i == 1) {
			t.Errorf("connection %d: 0-RTT %t, resumed %t", i, state.Used0RTT, state.TLS.DidResume)
		}
		if i == 0 {
			testkit.Within(t, "a ticket", tickets)
		}
		_ = c.CloseWithError(0, "")
	}
}

type ticketCache struct {
	tls.ClientSessionCache
	put chan struct{}
}

func (c *ticketCache) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	if state != nil {
		c.put <- struct{}{}
	}
}

// listenUDPAlone takes a port of UDP that is free on TCP, though perhaps not for long.
func listenUDPAlone(t *testing.T) net.PacketConn {
	t.Helper()
	for range 100 {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if l, err := net.Listen("tcp", c.LocalAddr().String()); err == nil {
			l.Close()
			t.Cleanup(func() { c.Close() })
			return c
		}
		c.Close()
	}
	t.Fatal("no port is free on both")
	return nil
}

// Where UDP cannot be had the server does without, unless it must not.
func TestHTTP3Taken(t *testing.T) {
	taken := listenUDPAlone(t)
	cert, key, roots := testkit.Certificate(t)
	config := Config{Listen: taken.LocalAddr().String(), TLSCert: cert, TLSKey: key, Dev: true}
	var said atomic.Int32
	config.Log = slog.New(messages{slog.DiscardHandler, "no HTTP/3 and no WebTransport: UDP cannot be listened on", &said})
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, s)
	c := overTCP(t, roots)
	body := handshake(t, c, s.url("/socket.io/?EIO=4&transport=polling"))
	if strings.Contains(body, "webtransport") {
		t.Errorf("Socket.IO is offered %s", body)
	}
	if err := publishOver(c, s.url("/c/a"), "x"); err != nil {
		t.Error(err)
	}
	if said.Load() != 1 {
		t.Errorf("the log says so %d times", said.Load())
	}
	s.Close()
	config.HTTP3 = true
	if s, err = New(config); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Listen(); !errors.Is(err, ErrHTTP3) {
		t.Errorf("Listen: %v, want %v", err, ErrHTTP3)
	}
	for _, config := range []Config{{HTTP3: true}, {HTTP3: true, NoHTTP3: true, TLSCert: cert, TLSKey: key}} {
		config.Dev = true
		if _, err := New(config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
}

func TestHTTP3Shutdown(t *testing.T) {
	s, roots := startHTTP3(t, Config{})
	publishText(t, s, "a", "1")
	c := over3(t, roots, nil)
	sse, err := open(t.Context(), c, s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer sse.Body.Close()
	polled := make(chan string, 1)
	go func() {
		response, err := open(t.Context(), c, s.url("/c/a?wait=60s&after=now"), typeJSON)
		if err != nil {
			polled <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			body = []byte(err.Error())
		}
		polled <- string(body)
	}()
	socket, _, err := ws.Dial(t.Context(), "wss"+strings.TrimPrefix(s.url("/c/a"), "https"), &ws.DialOptions{Streams: streams3(t, roots)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	idle := dialQUIC(t, s, roots)
	eventually(t, "all are there", func() bool { return s.used() == 3 && s.connections.open.Load() == 3 })

	down := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { down <- s.Shutdown(ctx) }()
	if answer := parsePoll(t, <-polled); len(answer.Messages) != 0 || answer.Next == "" {
		t.Errorf("the poll that waited was answered %+v", answer)
	}
	events := newEvents(sse.Body)
	if e, err := events.next(); !errors.Is(err, io.EOF) {
		t.Errorf("the event stream goes on with %+v, %v", e, err)
	}
	if retry, err := strconv.Atoi(events.retry); err != nil || retry < 1000 {
		t.Errorf("the event stream says retry: %q", events.retry)
	}
	if _, err := socket.Read(ctx); ws.CloseStatus(err) != ws.StatusServiceRestart {
		t.Errorf("the WebSocket ends with %v", err)
	}
	testkit.Within(t, "the idle connection is closed", idle.Context().Done())
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if n := s.connections.open.Load(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	late, err := net.ListenPacket("udp", s.listener.Addr().String())
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	late.Close()
}

// A request that does not come to its end keeps the server from stopping for as long as it is given, and no longer.
func TestHTTP3ShutdownIsBounded(t *testing.T) {
	s, roots := startHTTP3(t, Config{})
	c := over3(t, roots, nil)
	body, more := io.Pipe()
	defer more.Close()
	posted := make(chan error, 1)
	go func() {
		response, err := c.Post(s.url("/c/a"), "text/plain", body)
		if err == nil {
			response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			err = fmt.Errorf("status %d %s", response.StatusCode, body)
		}
		posted <- err
	}()
	if _, err := more.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	stalled, err := open(t.Context(), c, s.url("/c/a"), typeSSE) // over the same connection
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v, want %v", err, context.DeadlineExceeded)
	}
	err = testkit.Within(t, "the POST ends", posted)
	if err == nil || strings.Contains(err.Error(), "status 200") {
		t.Errorf("the POST was answered: %v", err)
	}
	eventually(t, "none is left", func() bool { return s.connections.open.Load() == 0 && s.used() == 0 })
}

// Methods and paths are answered as over TCP.
func TestHTTP3Routes(t *testing.T) {
	s, roots := startHTTP3(t, Config{})
	c := over3(t, roots, nil)
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 200},
		{"GET", "/livez", 200},
		{"HEAD", "/c/a", 200},
		{"DELETE", "/c/a", 405},
		{"GET", "/nothing", 404},
		{"GET", "/c/", 400},
		{"GET", "/socket.io/?EIO=4&transport=polling", 200},
	} {
		r, err := http.NewRequest(test.method, s.url(test.path), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.status || response.ProtoMajor != 3 || !slices.Equal(response.Header["X-Content-Type-Options"], []string{"nosniff"}) {
			t.Errorf("%s %s: status %d by %s", test.method, test.path, response.StatusCode, response.Proto)
		}
	}
}
