package requesthead

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// netHTTP is a real server, which sees each request on a connection of its own.
type netHTTP struct {
	conns    chan net.Conn
	requests chan *http.Request // what came to the handler, nil where a connection was closed before
}

func newNetHTTP(t testing.TB) *netHTTP {
	s := &netHTTP{conns: make(chan net.Conn), requests: make(chan *http.Request, 2)}
	server := &http.Server{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s.requests <- r
			panic(http.ErrAbortHandler) // no more requests from this connection
		}),
	}
	served := make(chan struct{})
	go func() {
		server.Serve(s)
		close(served)
	}()
	t.Cleanup(func() {
		close(s.conns)
		<-served
	})
	return s
}

// request returns what the server's handler is given, or nil if the server refuses. It is without what depends on
// the connection.
func (s *netHTTP) request(input string) *http.Request {
	s.conns <- &scripted{Reader: strings.NewReader(input), requests: s.requests}
	r := <-s.requests
	if r == nil {
		return nil
	}
	<-s.requests // closed
	r.RemoteAddr = ""
	return r.WithContext(context.Background())
}

func (s *netHTTP) Accept() (net.Conn, error) {
	if c := <-s.conns; c != nil {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (s *netHTTP) Addr() net.Addr { return &net.TCPAddr{} }
func (s *netHTTP) Close() error   { return nil }

// scripted is a connection to a client that says its piece and is gone.
type scripted struct {
	*strings.Reader
	requests chan<- *http.Request
}

func (c *scripted) Write(p []byte) (int, error) { return len(p), nil }
func (c *scripted) Close() error {
	c.requests <- nil
	return nil
}
func (c *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// parse is what a front door does with bytes that came at once. An outcome that is not Other comes with a request, or
// is Incomplete.
func parse(input string) (Outcome, *http.Request, int) {
	p := []byte(input)
	var s Scanner
	outcome, n := s.Scan(p)
	if outcome != Complete {
		return outcome, nil, n
	}
	r := Parse(context.Background(), p[:n])
	checkLent(r, p[:n])
	clear(p) // the request owns its memory
	if r == nil {
		return Other, nil, 0
	}
	return Complete, r, n
}

// lender is the Parser of all tests, so that each request is in what the one before has left.
var lender struct {
	sync.Mutex
	Parser
}

// checkLent panics unless a Parser makes the same of a head.
func checkLent(want *http.Request, head []byte) {
	lender.Lock()
	defer lender.Unlock()
	got := lender.Parse(head)
	switch {
	case (got == nil) != (want == nil):
		panic(fmt.Sprintf("%q: lent %v, otherwise %v", head, got, want))
	case got != nil && !reflect.DeepEqual(got.WithContext(want.Context()), want):
		panic(fmt.Sprintf("%q: lent %+v, otherwise %+v", head, got, want))
	}
}

// checkSame fails unless net/http makes the same of the input as this package, if this package takes it.
func checkSame(t *testing.T, server *netHTTP, input string) (accepted bool) {
	t.Helper()
	outcome, got, n := parse(input)
	if outcome != Complete {
		return false
	}
	rest := strings.NewReader(input)
	br := bufio.NewReader(rest)
	want, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("%q: ReadRequest: %v", input, err)
	}
	if used := len(input) - br.Buffered() - rest.Len(); used != n {
		t.Errorf("%q: %d bytes, ReadRequest took %d", input, n, used)
	}
	if want = want.WithContext(context.Background()); !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %+v, ReadRequest has %+v", input, got, want)
	}
	if want = server.request(input); want == nil {
		t.Fatalf("%q: refused by net/http's server", input)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %+v, net/http's server has %+v", input, got, want)
	}
	return true
}

// The measure itself is right: the server refuses and takes, and what follows a head is not part of it.
func TestNetHTTP(t *testing.T) {
	server := newNetHTTP(t)
	if r := server.request(chrome + "GET / HTTP/1.1\r\n\r\n"); r == nil || r.URL.Path != "/ws" || r.Host != "example.com" {
		t.Errorf("%+v", r)
	}
	for _, input := range []string{"", "GET", with("X: \x00\r\n"), with("X : y\r\n"), target("/") + "Host: <\r\n" + essential} {
		if r := server.request(input); r != nil {
			t.Errorf("%q: %+v", input, r)
		}
	}
}
