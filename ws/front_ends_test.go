package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// Whoever does not say what it wants is sent away in time, and on an event loop nobody waits with it.
func TestFrontSlowHeads(t *testing.T) {
	noLeaks(t)
	const visitors = 200
	h := openHouse(t, &ws.Server{Handler: say, OnMessage: echoBack, Options: ws.AcceptOptions{Limits: ws.Limits{HandshakeTimeout: 3 * time.Second}}}, "tcp", false)
	witness := h.visit(t, "")
	if err := witness.echo("before"); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	var all []*peer
	for i := range visitors {
		p := h.connect(t)
		p.sendBytes([]byte(with("X: y")[:i%100]))
		all = append(all, p)
	}
	if err := witness.echo("meanwhile"); err != nil {
		t.Error(err)
	}
	if n := runtime.NumGoroutine() - before; ws.OnLoops() && n > visitors/10 {
		t.Errorf("%d goroutines more for %d who wait", n, visitors)
	}
	for _, p := range all {
		if b, err := io.ReadAll(p); len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 400 ") || err != nil && !isEnd(err) {
			t.Fatalf("%q, %v", b, err)
		}
	}
	// The next request has no more time than the first.
	p := h.connect(t)
	p.sendBytes([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if b, err := io.ReadAll(p); !strings.HasPrefix(string(b), "HTTP/1.1 200 ") || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := witness.echo("after"); err != nil {
		t.Error(err)
	}
}

// A head without an end is cut off where net/http cuts it off.
func TestFrontEndlessHead(t *testing.T) {
	noLeaks(t)
	h := openHouse(t, &ws.Server{OnMessage: echoBack}, "tcp", false)
	p := h.connect(t)
	p.sendBytes([]byte(request()))
	go func() {
		for p.sendBytes([]byte(strings.Repeat("X: y\r\n", 1000))) == nil {
		}
	}()
	r, err := http.ReadResponse(p.r, nil)
	if err == nil && r.StatusCode != http.StatusRequestHeaderFieldsTooLarge || err != nil && !isEnd(err) {
		t.Error(r, err)
	}
	p.Close()
}

// Serve ends with its listener, whoever closes it, and what is there goes on until Shutdown, which ends it.
func TestFrontListenerClosed(t *testing.T) {
	for _, over := range []string{"tcp", "unix"} {
		t.Run(over, func(t *testing.T) {
			noLeaks(t)
			answering, release := make(chan struct{}, 1), make(chan struct{})
			s := &ws.Server{OnMessage: echoBack, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					answering <- struct{}{}
					<-release
				}
				io.WriteString(w, "done")
			})}
			listeners := []net.Listener{listen(t, over), listen(t, over)}
			served := make(chan error, 2)
			for _, l := range listeners {
				go func() { served <- s.Serve(l) }()
			}
			h, h2 := &house{server: s, addr: listeners[0].Addr()}, &house{server: s, addr: listeners[1].Addr()}
			p, p2 := h.visit(t, "one"), h2.visit(t, "two")
			slow, idle := h.connect(t), h.connect(t)
			slow.sendBytes([]byte("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"))
			<-answering
			idle.sendBytes([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			if r, err := http.ReadResponse(idle.r, nil); err != nil || r.StatusCode != 200 {
				t.Fatal(r, err)
			}
			listeners[0].Close()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v, want that the listener is closed", err)
			}
			all := []*peer{p, p2, h2.visit(t, "three")}
			for _, p := range all {
				if err := p.echo("goes on"); err != nil {
					t.Error(err)
				}
			}
			down := make(chan error, 1)
			go func() { down <- s.Shutdown(t.Context()) }()
			for _, p := range all {
				if err := p.expect(sight{opClose, closePayload(1001, "")}); err != nil {
					t.Error(err)
				}
				p.send(closeFrame(1001, ""))
			}
			if err := <-served; err != ws.ErrServerClosed {
				t.Error(err)
			}
			select {
			case err := <-down:
				t.Errorf("Shutdown has not waited for Handler: %v", err)
			case <-time.After(50 * time.Millisecond): // what must not be
			}
			close(release)
			if r, err := http.ReadResponse(slow.r, nil); err != nil || r.StatusCode != 200 {
				t.Error(r, err)
			}
			if err := <-down; err != nil {
				t.Error(err)
			}
			io.Copy(io.Discard, idle) // it ends
		})
	}
}

// Shutdown and Close at every stage of a visit.
func TestFrontEndsAtAnyStage(t *testing.T) {
	stages := map[string]string{
		"not a byte":  "",
		"half a head": with()[:50],
		"CheckOrigin": with("X-Peer: origin"),
		"OnOpen":      with("X-Peer: open"),
		"Handler":     "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	for stage, raw := range stages {
		for _, how := range []string{"Shutdown", "Close"} {
			t.Run(fmt.Sprint(stage, "/", how), func(t *testing.T) {
				noLeaks(t)
				reached, release := make(chan struct{}, 1), make(chan struct{})
				wait := func(who, where string) {
					if who == where {
						reached <- struct{}{}
						<-release
					}
				}
				s := &ws.Server{
					Options: ws.AcceptOptions{CheckOrigin: func(r *http.Request) error { wait(r.Header.Get("X-Peer"), "origin"); return nil }},
					OnOpen:  func(_ *ws.Socket, r *http.Request) { wait(r.Header.Get("X-Peer"), "open") },
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						wait("", "")
						io.WriteString(w, "answered")
					}),
				}
				l := listen(t, "tcp")
				served := make(chan error, 1)
				go func() { served <- s.Serve(l) }()
				h := &house{server: s, addr: l.Addr()}
				p := h.connect(t)
				p.sendBytes([]byte(raw))
				waits := stage != "not a byte" && stage != "half a head"
				if waits {
					<-reached
				} else {
					h.enter(t, "is accepted after it").Close()
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errCancelled)
				defer cancel()
				if !ws.OnLoops() && !waits { // net/http waits some seconds for a request to come
					cancel()
				}
				down := make(chan error, 1)
				go func() {
					if how == "Close" {
						down <- s.Close()
					} else {
						down <- s.Shutdown(ctx)
					}
				}()
				if err := <-served; err != ws.ErrServerClosed {
					t.Error(err)
				}
				if how == "Shutdown" && (stage == "Handler" || stage == "OnOpen") {
					select {
					case err := <-down:
						t.Fatalf("Shutdown has not waited: %v", err)
					case <-time.After(20 * time.Millisecond): // what must not be
					}
				}
				close(release)
				switch {
				case stage == "Handler" && how == "Shutdown":
					r, err := http.ReadResponse(p.r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if b, _ := io.ReadAll(r.Body); string(b) != "answered" {
						t.Errorf("%q", b)
					}
				case stage == "OnOpen" && how == "Shutdown":
					if err := p.welcomed(); err != nil {
						t.Fatal(err)
					}
					go p.collect()
					if err := p.expect(sight{opClose, closePayload(1001, "")}); err != nil {
						t.Error(err)
					}
					p.send(closeFrame(1001, ""))
				default:
					io.Copy(io.Discard, p.Conn) // it ends
				}
				if err := <-down; err != nil && waits {
					t.Error(err)
				}
				if err := s.Serve(listen(t, "tcp")); err != ws.ErrServerClosed {
					t.Error(err)
				}
				s.Close()
			})
		}
	}
}
