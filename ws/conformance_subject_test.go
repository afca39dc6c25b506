package ws_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"baro.dev/ws"
)

// A subject is a side under test, which sends every message back: one role, read by one API.
type subject struct {
	name   string
	client bool // our client, with the test as server; otherwise the reverse
	bare   bool // NewConn, without an opening handshake
	api    string
}

var subjects = []subject{
	{name: "Accept.Read", api: "Read"},
	{name: "Accept.Messages", api: "Messages"},
	{name: "Accept.Reader", api: "Reader"},
	{name: "Server", api: "Server"},
	{name: "Server.Inline", api: "Inline"}, // with Serve as its front door; over unix, the one above has it
	{name: "Dial.Read", client: true, api: "Read"},
	{name: "Dial.Messages", client: true, api: "Messages"},
	{name: "Dial.Reader", client: true, api: "Reader"},
	{name: "NewConn.server", bare: true, api: "Read"},
	{name: "NewConn.client", bare: true, client: true, api: "Messages"},
}

func (s subject) side() string {
	if s.client {
		return "client"
	}
	return "server"
}

// looped reports whether event loops read the subject where it can be had.
func (s subject) looped() bool {
	return (s.api == "Server" || s.api == "Inline") && runtime.GOOS == "linux"
}

// sender is what Conn and Socket have in common.
type sender interface {
	Send(ws.MessageType, []byte) error
	Write(context.Context, ws.MessageType, []byte) error
	Writer(context.Context, ws.MessageType) (io.WriteCloser, error)
	SendPrepared(*ws.PreparedMessage) error
	Buffered() int
	Compressed() bool
	CloseNow() error
	Done() <-chan struct{}
	Err() error
}

// options are how a subject is set up.
type options struct {
	ws.AcceptOptions        // what applies to both roles
	extensions       string // what the test offers to a server, or answers to a client
	opened           func(c sender)
}

// A stand is a subject set up over one kind of stream: tcp, unix, tls, or pipe, on which no two writes are read together.
type stand struct {
	subject
	over     string
	options  options
	listener net.Listener  // of a server over tcp or unix
	conns    chan net.Conn // for any other server to accept
	peers    sync.Map      // of the test, by the number they gave in their handshake
	number   atomic.Int64
}

// newStand sets a subject up until the end of the test.
func newStand(t testing.TB, s subject, over string, o options) *stand {
	t.Helper()
	st := &stand{subject: s, over: over, options: o, conns: make(chan net.Conn)}
	if s.client || s.bare {
		return st
	}
	var l net.Listener = &chanListener{conns: st.conns, done: make(chan struct{})}
	if over == "tcp" || over == "unix" {
		st.listener = listen(t, over)
		l = st.listener
	}
	handler := st.handler(t)
	if server, ok := handler.(*ws.Server); ok && server.Inline != (over == "unix") {
		go server.Serve(l)
		t.Cleanup(func() { server.Close() })
		return st
	}
	front := &http.Server{Handler: handler}
	go front.Serve(l)
	t.Cleanup(func() {
		front.Close()
		if server, ok := handler.(*ws.Server); ok {
			server.Close()
		}
	})
	return st
}

// handler is the server under test.
func (st *stand) handler(t testing.TB) http.Handler {
	if st.api == "Server" || st.api == "Inline" {
		return &ws.Server{
			Options: st.options.AcceptOptions,
			Inline:  st.api == "Inline",
			OnOpen: func(c *ws.Socket, r *http.Request) {
				c.Data = st.peerOf(r)
				if want := st.listener != nil && ws.OnLoops(); c.Looped() != want {
					t.Errorf("read by an event loop: %v, want %v", c.Looped(), want)
				}
				if st.options.opened != nil {
					st.options.opened(c)
				}
			},
			OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
			OnClose:   func(c *ws.Socket, err error) { c.Data.(*peer).ended <- err },
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &st.options.AcceptOptions)
		if err == nil {
			err = st.run(c)
		}
		st.peerOf(r).ended <- err
	})
}

// run is what a subject with a Conn does. It returns why the connection ended.
func (st *stand) run(c *ws.Conn) error {
	defer c.CloseNow()
	if st.options.opened != nil {
		st.options.opened(c)
	}
	ctx := context.Background()
	switch st.api {
	case "Read":
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return err
			}
			c.Write(ctx, m.Type, m.Data)
		}
	case "Messages":
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return err
			}
			c.Write(ctx, m.Type, m.Data)
		}
		return c.Err()
	}
	var buf [1 << 10]byte
	for {
		typ, r, err := c.Reader(ctx)
		if err != nil {
			return err
		}
		if w, err := c.Writer(ctx, typ); err == nil {
			io.CopyBuffer(w, r, buf[:])
			w.Close()
		}
	}
}

func (st *stand) peerOf(r *http.Request) *peer {
	p, _ := st.peers.LoadAndDelete(r.Header.Get("X-Peer"))
	return p.(*peer)
}

// A peer is the test's end of a connection with a subject.
type peer struct {
	net.Conn
	stand *stand
	reader
	response *http.Response // of a server under test
	request  *http.Request  // of a client under test
	ended    chan error     // what the API of the side under test said at the end
	shaken   sync.WaitGroup // the test's part of the handshake is being written
}

// reader collects what the side under test sends, so that it never has to wait for the test.
type reader struct {
	wireReader
	sights chan sight
	end    error // how the stream ended; to be read when sights is closed
}

func (r *reader) start(client bool, extensions string) {
	r.sights = make(chan sight, 64)
	r.masked = client
	r.keys = make(map[[4]byte]int)
	r.inflater = newPeerInflater(extensions, client)
}

func (r *reader) collect() {
	defer close(r.sights)
	for {
		s, err := r.next()
		if err != nil {
			r.end = err
			return
		}
		r.sights <- s
	}
}

// patience is how long a test waits for what must come. Nothing that succeeds waits so long.
const patience = 30 * time.Second

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// open opens a connection; early is sent in one piece with the test's part of the handshake.
func (st *stand) open(t testing.TB, early ...byte) (*peer, error) {
	t.Helper()
	p, err := st.openMute(t, early...)
	if err == nil {
		go p.collect()
	}
	return p, err
}

// openMute is open for a peer that reads nothing after the handshake.
func (st *stand) openMute(t testing.TB, early ...byte) (*peer, error) {
	t.Helper()
	near, far := st.ends(t)
	far.SetDeadline(time.Now().Add(patience))
	p := &peer{Conn: far, stand: st, ended: make(chan error, 1)}
	p.start(st.client, st.options.extensions)
	var err error
	switch {
	case st.bare:
		c := ws.NewConn(near, st.client, "", &st.options.AcceptOptions)
		go func() { p.ended <- st.run(c) }()
		p.r = bufio.NewReader(p)
		if len(early) > 0 {
			p.shake(early)
		}
	case st.client:
		err = p.serve(near, early)
	default:
		err = p.connect(near, early)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// connect is the part of a client in the opening handshake.
func (p *peer) connect(near net.Conn, early []byte) error {
	if p.stand.over == "tls" {
		p.Conn, near = tls.Client(p.Conn, testTLS().client), tls.Server(near, testTLS().server)
	}
	if near != nil {
		p.stand.conns <- near
	}
	number := fmt.Sprint(p.stand.number.Add(1))
	p.stand.peers.Store(number, p)
	request := "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: " + testKey + "\r\nX-Peer: " + number + "\r\n"
	if p.stand.options.extensions != "" {
		request += "Sec-WebSocket-Extensions: " + p.stand.options.extensions + "\r\n"
	}
	p.shake(append([]byte(request+"\r\n"), early...))
	p.r = bufio.NewReader(p)
	var err error
	if p.response, err = http.ReadResponse(p.r, nil); err != nil {
		return err
	}
	if p.response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the server answered %s", p.response.Status)
	}
	return nil
}

// serve is the part of a server in the opening handshake.
func (p *peer) serve(near net.Conn, early []byte) error {
	url := "ws://test/"
	o := &ws.DialOptions{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
		Proxy:       noProxy,
		Compression: p.stand.options.Compression,
		Limits:      p.stand.options.Limits,
		Keepalive:   p.stand.options.Keepalive,
		Queue:       p.stand.options.Queue,
	}
	if p.stand.over == "tls" {
		url = "wss://example.com/"
		o.TLS = testTLS().client
		p.Conn = tls.Server(p.Conn, testTLS().server)
	}
	go func() {
		c, _, err := ws.Dial(context.Background(), url, o)
		if err == nil {
			err = p.stand.run(c)
		}
		p.ended <- err
	}()
	p.r = bufio.NewReader(p)
	var err error
	if p.request, err = http.ReadRequest(p.r); err != nil {
		return err
	}
	response := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		acceptFor(p.request.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	if p.stand.options.extensions != "" {
		response += "Sec-WebSocket-Extensions: " + p.stand.options.extensions + "\r\n"
	}
	p.shake(append([]byte(response+"\r\n"), early...))
	return nil
}

// shake writes what comes first without waiting for the subject to read it.
func (p *peer) shake(b []byte) { p.shaken.Go(func() { p.Write(b) }) }

// acceptFor is RFC 6455 4.2.2 5.4.
func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// newPeerInflater is for what a subject compresses after so much was agreed.
func newPeerInflater(extensions string, client bool) *peerInflater {
	if extensions == "" {
		return nil
	}
	side := "server"
	if client {
		side = "client"
	}
	d := &peerInflater{bits: 15, fresh: strings.Contains(extensions, side+"_no_context_takeover")}
	if _, bits, ok := strings.Cut(extensions, side+"_max_window_bits="); ok {
		fmt.Sscan(bits, &d.bits)
	}
	return d
}

// send encodes frames as the peer of the subject does, and writes them at once. A subject that has failed may not
// take them.
func (p *peer) send(frames ...wireFrame) error {
	return p.sendBytes(wireBytes(!p.stand.client, frames...))
}

func (p *peer) sendBytes(b []byte) error {
	p.shaken.Wait()
	_, err := p.Write(b)
	return err
}

// expect waits for what the side under test sends next.
func (p *peer) expect(want sight) error {
	s, ok := <-p.sights
	if !ok {
		return fmt.Errorf("%v, want %v", p.end, want)
	}
	if s != want {
		return fmt.Errorf("%v, want %v", s, want)
	}
	return nil
}

// expectEnd waits for the end of the stream and of the connection behind it, and returns what the API says. wait says
// that the side under test is to end the stream by itself.
func (p *peer) expectEnd(wait bool) (error, error) {
	if !wait {
		p.Close()
	}
	for s := range p.sights {
		return nil, fmt.Errorf("%v, want the end", s)
	}
	if errors.Is(p.end, errViolation) || wait && !isEnd(p.end) {
		return nil, p.end
	}
	p.Close()
	select {
	case err := <-p.ended:
		return err, nil
	case <-time.After(patience):
		return nil, errors.New("the side under test does not know that the connection has ended")
	}
}

// isEnd tells whether the peer closed the stream. A peer that is sent more than it wants may reset it.
func isEnd(err error) bool {
	return err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// loopback is where the two ends of a TCP connection find each other. To listen anew for each takes longer than a test.
var loopback = sync.OnceValues(func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })

var pairing sync.Mutex

var unixNames atomic.Int64

// listen returns a listener of the kind.
func listen(t testing.TB, over string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if over == "unix" {
		// A name outside of the file system, which only Linux has (unix(7), abstract).
		address = fmt.Sprintf("@baro-ws-test-%d-%d", os.Getpid(), unixNames.Add(1))
	}
	l, err := net.Listen(over, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ends returns the two ends of a connection with the subject; near is nil if the subject accepts it itself.
func (st *stand) ends(t testing.TB) (near, far net.Conn) {
	t.Helper()
	if st.listener == nil {
		return connPair(t, st.over)
	}
	far, err := net.Dial(st.listener.Addr().Network(), st.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return nil, far
}

// connPair returns the two ends of a stream.
func connPair(t testing.TB, over string) (near, far net.Conn) {
	t.Helper()
	if over == "pipe" {
		return net.Pipe()
	}
	pairing.Lock()
	defer pairing.Unlock()
	l, err := loopback()
	if err != nil {
		t.Fatal(err)
	}
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// chanListener hands connections to a server.
type chanListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *chanListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *chanListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *chanListener) Addr() net.Addr { return &net.TCPAddr{} }

func noProxy(*url.URL) (*url.URL, error) { return nil, nil }

type tlsConfigs struct{ server, client *tls.Config }

// testTLS are configurations that trust each other, with the certificate of httptest.
var testTLS = sync.OnceValue(func() tlsConfigs {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return tlsConfigs{
		server: &tls.Config{Certificates: s.TLS.Certificates},
		client: &tls.Config{RootCAs: roots, ServerName: "example.com"},
	}
})
