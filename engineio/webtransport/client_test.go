package webtransport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"

	"baro.dev/engineio"
	"baro.dev/engineio/webtransport"
	"baro.dev/internal/testkit"
)

func noLeaks(t testing.TB) {
	t.Helper()
	testkit.NoLeaks(t)
}

func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	return testkit.Within(t, what, c)
}

// host is a server on the loopback interface.
type host struct {
	*webtransport.Server
	engine *engineio.Server
	addr   string
	roots  *x509.CertPool

	opened chan *engineio.Session
	closed chan *engineio.CloseError
}

var all = []string{engineio.Polling, engineio.WebSocket, engineio.WebTransport}

// serve starts a server, which t's cleanup ends, for an engine that echoes unless it has an OnMessage.
func serve(t testing.TB, engine *engineio.Server) *host {
	t.Helper()
	h := &host{engine: engine, opened: make(chan *engineio.Session, 16), closed: make(chan *engineio.CloseError, 16)}
	if engine.Options.Transports == nil {
		engine.Options.Transports = all
	}
	engine.Options.Logger = slog.New(slog.DiscardHandler)
	if engine.OnOpen == nil {
		engine.OnOpen = func(s *engineio.Session, _ *http.Request) { h.opened <- s }
	}
	if engine.OnMessage == nil {
		engine.OnMessage = func(s *engineio.Session, m engineio.Message) { _ = s.Send(m) }
	}
	if engine.OnClose == nil {
		engine.OnClose = func(_ *engineio.Session, err *engineio.CloseError) { h.closed <- err }
	}
	certificate, _, err := webtransport.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	h.roots = x509.NewCertPool()
	h.roots.AddCert(certificate.Leaf)
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	h.Server = webtransport.NewServer(mux, &tls.Config{Certificates: []tls.Certificate{certificate}})
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = socket.LocalAddr().String()
	served := make(chan error, 1)
	go func() { served <- h.Serve(socket) }()
	t.Cleanup(func() {
		_ = engine.Close()
		_ = h.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		_ = socket.Close()
	})
	return h
}

func (h *host) tls() *tls.Config { return &tls.Config{RootCAs: h.roots} }

// client is a session of WebTransport with the stream for Engine.IO.
type client struct {
	t       testing.TB
	session *wt.Session
	stream  *wt.Stream
	in      *bufio.Reader
}

// dial opens a session. t's cleanup closes it.
func (h *host) dial(t testing.TB, header http.Header) (*wt.Session, *http.Response, error) {
	t.Helper()
	transport := &wt.Transport{TLSClientConfig: h.tls()}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	resp, session, err := transport.Dial(ctx, "https://"+h.addr+"/engine.io/", header)
	t.Cleanup(func() {
		if session != nil {
			_ = session.CloseWithError(0, "")
		}
		_ = transport.Close()
	})
	return session, resp, err
}

// connect opens a session and its stream.
func (h *host) connect(t testing.TB) *client {
	t.Helper()
	session, _, err := h.dial(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := session.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SetReadDeadline(time.Now().Add(testkit.Patience))
	return &client{t, session, stream, bufio.NewReader(stream)}
}

// begin begins a session of Engine.IO.
func (h *host) begin(t testing.TB) *client {
	t.Helper()
	c := h.connect(t)
	c.send("0")
	c.hello()
	return c
}

// hello receives the handshake.
func (c *client) hello() (sid string) {
	c.t.Helper()
	text := c.receive()
	var hello struct {
		SID                       string
		Upgrades                  []string
		PingInterval, PingTimeout int
		MaxPayload                int
	}
	data, ok := strings.CutPrefix(text, "0")
	if !ok {
		c.t.Fatalf("%q is no handshake", text)
	}
	if err := json.Unmarshal([]byte(data), &hello); err != nil || hello.SID == "" || hello.Upgrades == nil || len(hello.Upgrades) > 0 ||
		hello.PingInterval == 0 || hello.PingTimeout == 0 || hello.MaxPayload == 0 {
		c.t.Fatalf("%s: %v", data, err)
	}
	return hello.SID
}

// frame returns a frame.
func frame(isBinary bool, data string) []byte {
	var b []byte
	switch n := len(data); {
	case n < 126:
		b = []byte{byte(n)}
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{126}, uint16(n))
	default:
		b = binary.BigEndian.AppendUint64([]byte{127}, uint64(n))
	}
	if isBinary {
		b[0] |= 0x80
	}
	return append(b, data...)
}

// send sends text packets.
func (c *client) send(packets ...string) {
	c.t.Helper()
	for _, p := range packets {
		if _, err := c.stream.Write(frame(false, p)); err != nil {
			c.t.Fatalf("sending %.20q: %v", p, err)
		}
	}
}

// next receives a frame.
func (c *client) next() (isBinary bool, data string, err error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return false, "", err
	}
	n := uint64(first & 0x7f)
	var more []byte
	switch n {
	case 126:
		more = make([]byte, 2)
	case 127:
		more = make([]byte, 8)
	}
	if _, err := io.ReadFull(c.in, more); err != nil {
		return false, "", err
	}
	if more != nil {
		n = binary.BigEndian.Uint64(append(make([]byte, 8-len(more)), more...))
	}
	b := make([]byte, n)
	_, err = io.ReadFull(c.in, b)
	return first&0x80 != 0, string(b), err
}

// receive receives a text packet. Pings are answered.
func (c *client) receive() string {
	c.t.Helper()
	for {
		isBinary, data, err := c.next()
		if err != nil || isBinary {
			c.t.Fatalf("received %t %.20q: %v", isBinary, data, err)
		}
		if data != "2" {
			return data
		}
		c.send("3")
	}
}

// expect receives text packets.
func (c *client) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.receive(); got != want {
			c.t.Fatalf("received %.60q, want %.60q", got, want)
		}
	}
}

// ended waits for the end of the session.
func (c *client) ended() {
	c.t.Helper()
	within(c.t, "the session's end", c.session.Context().Done())
}

// poller is a client of polling over HTTP/3.
type poller struct {
	t    testing.TB
	http *http.Client
	url  string
}

func (h *host) poller(t testing.TB) *poller {
	transport := &http3.Transport{TLSClientConfig: h.tls()}
	t.Cleanup(func() { _ = transport.Close() })
	return &poller{t, &http.Client{Transport: transport}, "https://" + h.addr + "/engine.io/?EIO=4&transport=polling"}
}

func (p *poller) do(method, body string) (int, string, error) {
	r, err := http.NewRequest(method, p.url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (p *poller) get() string {
	p.t.Helper()
	status, body, err := p.do("GET", "")
	if err != nil || status != 200 {
		p.t.Fatal(status, body, err)
	}
	return body
}

func (p *poller) post(body string) {
	p.t.Helper()
	if status, answer, err := p.do("POST", body); err != nil || status != 200 {
		p.t.Fatal(status, answer, err)
	}
}

// open begins a session and returns its id and the upgrades it is offered.
func (p *poller) open() (sid string, upgrades []string) {
	p.t.Helper()
	var hello struct {
		SID      string
		Upgrades []string
	}
	body := p.get()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &hello); err != nil {
		p.t.Fatal(body, err)
	}
	p.url += "&sid=" + hello.SID
	return hello.SID, hello.Upgrades
}

func upgradeTo(sid string) string { return fmt.Sprintf(`0{"sid":%q}`, sid) }
