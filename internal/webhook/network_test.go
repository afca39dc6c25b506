package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/internal/webhook"
)

// A rogue does to a connection whatever it likes, when it has read a request of it.
type rogue func(c net.Conn)

func says(answer string) rogue {
	return func(c net.Conn) { _, _ = io.WriteString(c, answer) }
}

// silent waits until the other end has had enough.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// trickle says a beginning, and then a byte now and then for as long as it is listened to.
func trickle(beginning string) rogue {
	return func(c net.Conn) {
		_, err := io.WriteString(c, beginning)
		for ; err == nil; time.Sleep(time.Millisecond) {
			_, err = c.Write([]byte("x"))
		}
	}
}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// ten MB of an answer, as long as somebody reads it.
func tenMB(status string) rogue {
	return func(c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: 10000000\r\n\r\n", status)
		for range 10_000_000 / 1000 {
			if _, err := c.Write(bytes.Repeat([]byte(" "), 1000)); err != nil {
				return
			}
		}
	}
}

// rogues are the ways of an endpoint to fail that the wire permits; wellDone those that are a success nonetheless.
var rogues = map[string]rogue{
	"silence":          silent,
	"half an answer":   func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 O"); silent(c) },
	"trickled headers": trickle("HTTP/1.1 200 OK\r\nX: "),
	"closes":           func(net.Conn) {},
	"resets":           reset,
	"no HTTP":          says("220 smtp.example.com ESMTP\r\n"),
	"endless informational": func(c net.Conn) {
		_, _ = io.Copy(c, strings.NewReader(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100_000)))
	},
	"a long header": func(c net.Conn) { says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n")(c) },
	"switches protocols": func(c net.Conn) {
		says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")(c)
		silent(c)
	},
	"500 of 10 MB":        tenMB("500 Internal Server Error"),
	"500 that never ends": trickle("HTTP/1.1 500 Internal Server Error\r\n\r\n"),
}

var wellDone = map[string]rogue{
	"10 MB":          tenMB("200 OK"),
	"breaks off":     says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nOK"),
	"never ends":     trickle("HTTP/1.1 200 OK\r\n\r\n"),
	"says no length": says("HTTP/1.1 202 Accepted\r\n\r\n"),
}

// den serves a rogue for the first connections, and then a backend that works. It returns its URL and what the latter has got.
func den(t *testing.T, first int, r rogue) (url string, got chan request) {
	t.Helper()
	got = make(chan request, 100)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pending := make(chan net.Conn)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- readRequest(t, r) })}
	var all sync.WaitGroup
	all.Go(func() { _ = server.Serve(&handOver{l, pending}) })
	all.Go(func() {
		defer close(pending)
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n >= first {
				pending <- c
				continue
			}
			all.Go(func() {
				defer c.Close()
				if request, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, request.Body)
					r(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		server.Close()
		all.Wait()
	})
	return "http://" + l.Addr().String(), got
}

// handOver is a listener of what another one has accepted.
type handOver struct {
	net.Listener

	conns chan net.Conn
}

func (h *handOver) Accept() (net.Conn, error) {
	if c, ok := <-h.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Whatever an endpoint does, what it has not accepted reaches it when it works again; once, and in order.
func TestHostileEndpoints(t *testing.T) {
	run := func(name string, r rogue, accepted bool) {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			url, got := den(t, 1, r)
			s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: url, BatchEvents: 5, Timeout: 200 * time.Millisecond}}})
			send(t, s, 20)
			want := upTo(20)
			if accepted {
				want = want[5:]
			}
			var arrived []string
			for len(arrived) < len(want) {
				arrived = append(arrived, ids([]request{testkit.Within(t, "a request", got)})...)
			}
			if !slices.Equal(arrived, want) {
				t.Errorf("%v have arrived", arrived)
			}
			flush(t, s)
			if stats := s.Stats()[0]; stats.Sent != 20 || stats.Failed != 0 || stats.Dropped != 0 {
				t.Errorf("%+v", stats)
			}
		})
	}
	for name, r := range rogues {
		run(name, r, false)
	}
	for name, r := range wellDone {
		run(name, r, true)
	}
}

// No goroutine, connection or event is left of a sender that is closed while its endpoints hang.
func TestCloseWhileHanging(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := den(t, 100, silent)
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: url, BatchEvents: 1, Concurrency: 10, Timeout: time.Hour}}})
	send(t, s, 30)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if left, ok := errors.AsType[*webhook.UndeliveredError](s.Close(ctx)); !ok || left.Events != 30 {
		t.Errorf("undelivered: %v", left)
	}
}

// A handshake of TLS that hangs does not outlive the sender either.
func TestCloseWhileConnecting(t *testing.T) {
	testkit.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: "https://" + l.Addr().String(), Timeout: 50 * time.Millisecond}}})
	send(t, s, 1)
	until(t, "a failure", func() bool { return s.Stats()[0].Failures > 0 })
	if err := closeNow(s); err == nil {
		t.Error("delivered")
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect is followed") }))
	defer elsewhere.Close()
	var c webhook.Config
	for _, status := range []int{301, 302, 303, 307, 308} {
		var redirected atomic.Bool
		backend := site(t, make(chan request, 10), func(w http.ResponseWriter, r *http.Request) {
			if !redirected.Swap(true) {
				http.Redirect(w, r, elsewhere.URL, status)
			}
		})
		c.Endpoints = append(c.Endpoints, webhook.Endpoint{URL: backend.URL})
	}
	s := newSender(t, c)
	send(t, s, 1)
	for i := range s.Stats() {
		until(t, "the event", func() bool { return s.Stats()[i].Sent > 0 })
		if n := s.Stats()[i].Requests; n != 2 {
			t.Errorf("endpoint %d: %d requests", i+1, n)
		}
	}
	flush(t, s)
}

// An endpoint that is not there yet gets what it missed when it comes.
func TestEndpointComesLater(t *testing.T) {
	testkit.NoLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: "http://" + address, BatchEvents: 3}}})
	send(t, s, 10)
	until(t, "failures", func() bool { return s.Stats()[0].Failures > 1 })
	got := make(chan request, 100)
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skip("somebody else has taken the port: ", err)
	}
	backend := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- readRequest(t, r) })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = backend.Serve(l)
	}()
	flush(t, s)
	backend.Close()
	<-done
	close(got)
	var arrived []string
	for r := range got {
		arrived = append(arrived, ids([]request{r})...)
	}
	if !slices.Equal(arrived, upTo(10)) {
		t.Errorf("%v have arrived", arrived)
	}
}

// One connection serves all batches of an endpoint.
func TestConnectionsAreReused(t *testing.T) {
	for name, answer := range map[string]string{"nothing": "", "something": strings.Repeat("x", 60_000)} {
		t.Run(name, func(t *testing.T) {
			got := make(chan request, 100)
			conns := make(chan net.Conn, 100)
			backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got <- readRequest(t, r)
				_, _ = io.WriteString(w, answer)
			}))
			backend.Config.ConnState = func(c net.Conn, s http.ConnState) {
				if s == http.StateNew {
					conns <- c
				}
			}
			backend.Start()
			defer backend.Close()
			s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: backend.URL, BatchEvents: 1}}})
			send(t, s, 50)
			flush(t, s)
			if len(got) != 50 || len(conns) != 1 {
				t.Errorf("%d requests over %d connections", len(got), len(conns))
			}
		})
	}
}

func TestTLS(t *testing.T) {
	testkit.NoLeaks(t)
	cert, key, roots := testkit.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	var log logged
	got := make(chan string, 100)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		readRequest(t, r)
		got <- r.Proto
	}))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	backend.EnableHTTP2 = true
	backend.Config.ErrorLog = slog.NewLogLogger(testLog(t).Handler(), slog.LevelInfo)
	backend.StartTLS()
	defer backend.Close()

	stranger := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: backend.URL}}, Log: log.logger()})
	send(t, stranger, 1)
	until(t, "a failure", func() bool { return stranger.Stats()[0].Failures > 0 })
	if err := closeNow(stranger); err == nil || len(got) != 0 {
		t.Error("a certificate that nobody knows is trusted")
	}
	if log.count("certificate") == 0 {
		t.Fatalf("log: %s", log.String())
	}

	transport := webhook.NewTransport(&tls.Config{RootCAs: roots}, 2)
	defer transport.CloseIdleConnections()
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: backend.URL, BatchEvents: 1, Concurrency: 8}}, Transport: transport})
	send(t, s, 50)
	flush(t, s)
	if len(got) != 50 {
		t.Errorf("%d requests", len(got))
	}
	if proto := <-got; proto != "HTTP/2.0" {
		t.Errorf("over %s", proto)
	}
}

// Nothing is connected to: the error is that of the policy, not of a network.
func TestMetadata(t *testing.T) {
	transport := webhook.NewTransport(nil, 1)
	for _, address := range []string{"169.254.169.254:80", "[::ffff:169.254.169.254]:80", "[fd00:ec2::254]:80", "[fe80::1%lo]:80", "169.254.1.1:80"} {
		c, err := transport.DialContext(t.Context(), "tcp", address)
		if err == nil {
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), "link-local") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Whatever is given to a sender whose endpoint hangs, it holds no more than its bounds.
func TestFlood(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := den(t, 100, silent)
	const bound = 4 << 20
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{URL: url}}, QueueBytes: bound, QueueEvents: 1 << 30})
	before := heap()
	data := strings.Repeat("x", 1000)
	var floods sync.WaitGroup
	for range 4 {
		floods.Go(func() {
			for range 10_000 {
				s.Send(webhook.Event{Type: "published", Data: data})
			}
		})
	}
	floods.Wait()
	if grown := heap() - before; grown > 3*bound/2 {
		t.Errorf("%d bytes are held", grown)
	}
	stats := s.Stats()[0]
	if stats.Bytes > bound || stats.Bytes < bound/2 || stats.Queued+int(stats.Dropped) != 40_000 {
		t.Errorf("%+v", stats)
	}
	_ = closeNow(s)
	if grown := heap() - before; grown > bound/4 {
		t.Errorf("%d bytes are held by what is closed", grown)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Nothing of a URL but scheme, host and path comes into a log, and no secret.
func TestLogKeepsSecrets(t *testing.T) {
	var log logged
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	s := newSender(t, webhook.Config{
		Endpoints: []webhook.Endpoint{{URL: "http://user:hunter2@" + address + "/hook?key=hunter2", Headers: map[string]string{"X": "hunter2"}}},
		Log:       log.logger(),
	})
	send(t, s, 1)
	until(t, "a failure", func() bool { return s.Stats()[0].Failures > 0 })
	_ = closeNow(s)
	if text := log.String() + s.Stats()[0].URL; strings.Contains(text, "hunter2") || strings.Contains(text, secret) || !strings.Contains(text, address+"/hook") {
		t.Errorf("log: %s", text)
	}
}
