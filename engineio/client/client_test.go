package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/engineio/client"
	"baro.dev/internal/testkit"
)

// start starts a server that has what o says, and returns its URL.
func start(t *testing.T, server *engineio.Server) string {
	t.Helper()
	site := httptest.NewServer(server)
	t.Cleanup(func() {
		_ = server.Close()
		site.Close()
	})
	return site.URL
}

func echo() *engineio.Server {
	return &engineio.Server{OnMessage: func(s *engineio.Session, m engineio.Message) { _ = s.Send(m) }}
}

func context10(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// heard collects what a session is told.
type heard struct {
	messages chan client.Message
	upgrades chan string
	closed   chan error
}

func listen(o *client.Options) *heard {
	h := &heard{make(chan client.Message, 100_000), make(chan string, 10), make(chan error, 1)}
	o.OnMessage = func(_ *client.Session, m client.Message) {
		m.Data = bytes.Clone(m.Data)
		h.messages <- m
	}
	o.OnUpgrade = func(_ *client.Session, transport string) { h.upgrades <- transport }
	o.OnClose = func(_ *client.Session, err error) { h.closed <- err }
	return h
}

func TestEcho(t *testing.T) {
	for _, transport := range []string{client.Polling, client.WebSocket} {
		for _, base64 := range []bool{false, true} {
			t.Run(fmt.Sprint(transport, base64), func(t *testing.T) {
				testkit.NoLeaks(t)
				url := start(t, echo())
				o := &client.Options{Transports: []string{transport}, ForceBase64: base64}
				h := listen(o)
				s, err := client.Dial(context10(t), url, o)
				if err != nil {
					t.Fatal(err)
				}
				if s.Transport() != transport || s.ID() == "" {
					t.Errorf("%s, %q", s.Transport(), s.ID())
				}
				said := []client.Message{
					{Data: []byte("hello")}, {Data: []byte{}}, {Data: []byte("2probe")}, {Data: []byte("€\U0001F600")},
					{Data: []byte{0, 255, 30}, Binary: true}, {Data: []byte{}, Binary: true},
					{Data: bytes.Repeat([]byte("x"), 500_000)}, {Data: bytes.Repeat([]byte{7}, 700_000), Binary: true},
				}
				if err := s.Send(said...); err != nil {
					t.Fatal(err)
				}
				for i, want := range said {
					got := testkit.Within(t, "an echo", h.messages)
					if got.Binary != want.Binary || !bytes.Equal(got.Data, want.Data) {
						t.Errorf("message %d is %t %.20q of %d bytes", i, got.Binary, got.Data, len(got.Data))
					}
				}
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if err := testkit.Within(t, "the end", h.closed); !errors.Is(err, client.ErrClosed) {
					t.Error(err)
				}
				<-s.Done()
				if err := s.Send(client.Message{}); !errors.Is(err, client.ErrClosed) {
					t.Errorf("sending after the end: %v", err)
				}
			})
		}
	}
}

// What is sent by both while the session goes from polling to WebSocket comes once, and in order.
func TestUpgrade(t *testing.T) {
	testkit.NoLeaks(t)
	const n = 3000
	server := &engineio.Server{
		OnOpen: func(s *engineio.Session, _ *http.Request) {
			go func() {
				for i := range n {
					if err := s.Send(engineio.Message{Data: []byte("s" + strconv.Itoa(i))}); err != nil {
						t.Error(err)
						return
					}
					if i%100 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			}()
		},
		OnMessage: func(s *engineio.Session, m engineio.Message) { _ = s.Send(m) },
	}
	o := &client.Options{}
	h := listen(o)
	s, err := client.Dial(context10(t), start(t, server), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Transport() != client.Polling {
		t.Error(s.Transport())
	}
	go func() {
		for i := range n {
			if err := s.Send(client.Message{Data: []byte("c" + strconv.Itoa(i))}); err != nil {
				t.Error(err)
				return
			}
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	next := map[byte]int{}
	for range 2 * n {
		m := testkit.Within(t, "a message", h.messages)
		if want := strconv.Itoa(next[m.Data[0]]); string(m.Data[1:]) != want {
			t.Fatalf("%s in place of %s", m.Data, want)
		}
		next[m.Data[0]]++
	}
	if to := testkit.Within(t, "an upgrade", h.upgrades); to != client.WebSocket || s.Transport() != to {
		t.Errorf("%s, %s", to, s.Transport())
	}
	_ = s.Close(t.Context())
	<-s.Done()
}

// A session whose other transports do not work stays where it is.
func TestUpgradeFails(t *testing.T) {
	testkit.NoLeaks(t)
	server := echo()
	tried := make(chan struct{}, 10)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("transport") == "websocket" {
			http.Error(w, "no", http.StatusBadGateway)
			tried <- struct{}{}
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { _ = server.Close(); site.Close() })
	o := &client.Options{}
	h := listen(o)
	s, err := client.Dial(context10(t), site.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Within(t, "a try", tried)
	_ = s.Send(client.Message{Data: []byte("still here")})
	if m := testkit.Within(t, "an echo", h.messages); string(m.Data) != "still here" {
		t.Errorf("%s", m.Data)
	}
	if len(h.upgrades) > 0 || s.Transport() != client.Polling {
		t.Error("it upgraded")
	}
	_ = s.Close(t.Context())
	<-s.Done()
}

func TestTryAllTransports(t *testing.T) {
	url := start(t, &engineio.Server{Options: engineio.Options{Transports: []string{"polling"}}})
	o := client.Options{Transports: []string{client.WebSocket, client.Polling}}
	_, err := client.Dial(context10(t), url, &o)
	refused := new(client.RefusedError)
	if !errors.As(err, &refused) || refused.Status != 400 || refused.Message != "Transport unknown" {
		t.Errorf("without: %v", err)
	}
	o.TryAllTransports = true
	s, err := client.Dial(context10(t), url, &o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Transport() != client.Polling {
		t.Error(s.Transport())
	}
	s.CloseNow()
	<-s.Done()
}

// Whoever ends the session, the other learns of it, and nothing is left.
func TestEnds(t *testing.T) {
	for _, transport := range []string{client.Polling, client.WebSocket} {
		ends := map[string]struct {
			end  func(*testing.T, *client.Session, *engineio.Session)
			want error
		}{
			"Close":    {func(t *testing.T, c *client.Session, _ *engineio.Session) { _ = c.Close(t.Context()) }, client.ErrClosed},
			"CloseNow": {func(_ *testing.T, c *client.Session, _ *engineio.Session) { c.CloseNow() }, client.ErrClosed},
			"server":   {func(_ *testing.T, _ *client.Session, s *engineio.Session) { s.Close() }, client.ErrServerClosed},
			"server, sent": {func(_ *testing.T, c *client.Session, _ *engineio.Session) {
				_ = c.Send(client.Message{Data: []byte("bye")})
			}, client.ErrServerClosed},
		}
		for name, tt := range ends {
			t.Run(transport+"/"+name, func(t *testing.T) {
				testkit.NoLeaks(t)
				opened, closed := make(chan *engineio.Session, 1), make(chan error, 1)
				url := start(t, &engineio.Server{
					OnOpen:    func(s *engineio.Session, _ *http.Request) { opened <- s },
					OnMessage: func(s *engineio.Session, _ engineio.Message) { s.Close() },
					OnClose:   func(_ *engineio.Session, err *engineio.CloseError) { closed <- err },
				})
				o := &client.Options{Transports: []string{transport}}
				h := listen(o)
				c, err := client.Dial(context10(t), url, o)
				if err != nil {
					t.Fatal(err)
				}
				tt.end(t, c, testkit.Within(t, "a session", opened))
				if err := testkit.Within(t, "the client's end", h.closed); !errors.Is(err, tt.want) || !errors.Is(c.Err(), tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if name != "CloseNow" || transport != client.Polling { // of which the server learns by a missing pong
					testkit.Within(t, "the server's end", closed)
				}
				<-c.Done()
			})
		}
	}
}

// A handler may close its session, in the midst of an upgrade too, and what was sent before leaves first.
func TestCloseFromHandler(t *testing.T) {
	testkit.NoLeaks(t)
	got := make(chan string, 10)
	url := start(t, &engineio.Server{
		OnOpen:    func(s *engineio.Session, _ *http.Request) { _ = s.Send(engineio.Message{Data: []byte("go")}) },
		OnMessage: func(_ *engineio.Session, m engineio.Message) { got <- string(m.Data) },
	})
	for _, transports := range [][]string{{client.Polling}, {client.WebSocket}, nil, nil, nil, nil, nil, nil, nil, nil} {
		began := time.Now()
		s, err := client.Dial(context10(t), url, &client.Options{
			Transports: transports,
			OnMessage: func(s *client.Session, _ client.Message) {
				_ = s.Send(client.Message{Data: []byte("going")})
				_ = s.Close(context.Background())
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		if m := testkit.Within(t, "what was sent", got); m != "going" || !errors.Is(s.Err(), client.ErrClosed) {
			t.Error(m, s.Err())
		}
		if took := time.Since(began); took > 40*time.Second { // that is a ping timeout
			t.Errorf("%v: it took %v", transports, took)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	url := start(t, &engineio.Server{Options: engineio.Options{PingInterval: 20 * time.Millisecond, PingTimeout: 20 * time.Second}})
	for _, transport := range []string{client.Polling, client.WebSocket} {
		pings := make(chan struct{}, 1000)
		s, err := client.Dial(context10(t), url, &client.Options{Transports: []string{transport}, OnPing: func(*client.Session) { pings <- struct{}{} }})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			testkit.Within(t, "a ping", pings)
		}
		s.CloseNow()
		<-s.Done()
	}
}

// A server of which nothing is heard any more has gone.
func TestPingTimeout(t *testing.T) {
	testkit.NoLeaks(t)
	ctx, stop := context.WithCancel(t.Context())
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sid") != "" {
			select {
			case <-ctx.Done():
			case <-r.Context().Done():
			}
			return
		}
		fmt.Fprint(w, `0{"sid":"a","upgrades":[],"pingInterval":50,"pingTimeout":50,"maxPayload":100}`)
	}))
	t.Cleanup(func() { stop(); site.Close() })
	s, err := client.Dial(context10(t), site.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if !errors.Is(s.Err(), client.ErrPingTimeout) {
		t.Error(s.Err())
	}
}

func TestBounds(t *testing.T) {
	testkit.NoLeaks(t)
	url := start(t, &engineio.Server{Options: engineio.Options{MaxHTTPBufferSize: 1000}})
	s, err := client.Dial(context10(t), url, &client.Options{Transports: []string{client.Polling}, MaxBuffered: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(client.Message{Data: make([]byte, 1000)}); !errors.Is(err, client.ErrTooLarge) {
		t.Error(err)
	}
	var full error
	for i := 0; i < 100 && full == nil; i++ {
		full = s.Send(client.Message{Data: bytes.Repeat([]byte("x"), 900)})
	}
	if !errors.Is(full, client.ErrBufferFull) {
		t.Error(full)
	}
	_ = s.Close(context10(t))
	<-s.Done()
}

// A server may answer anything.
func TestHostileServer(t *testing.T) {
	opened := `0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	for name, answers := range map[string][]string{
		"empty":                 {""},
		"no open packet":        {"4hello"},
		"no JSON":               {"0{"},
		"no sid":                {`0{"pingInterval":25000,"pingTimeout":20000}`},
		"a long sid":            {`0{"sid":"` + strings.Repeat("a", 2000) + `","pingInterval":25000,"pingTimeout":20000}`},
		"no interval":           {`0{"sid":"a"}`},
		"an interval of 1e300":  {`0{"sid":"a","pingInterval":1e300,"pingTimeout":1}`},
		"a negative interval":   {`0{"sid":"a","pingInterval":-1,"pingTimeout":20000}`},
		"a negative payload":    {`0{"sid":"a","pingInterval":25000,"pingTimeout":20000,"maxPayload":-1}`},
		"another type":          {opened, "9"},
		"opened again":          {opened, opened},
		"base64":                {opened, "b%%%%"},
		"no UTF-8":              {opened, "4\xff"},
		"an empty packet":       {opened, "4a\x1e\x1e4b"},
		"a pong":                {opened, "3probe"},
		"an upgrade":            {opened, "5"},
		"a large answer":        {opened, "4" + strings.Repeat("x", 2000)},
		"a million separators":  {opened, strings.Repeat("\x1e", 900)},
		"something else at all": {"<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			var mu sync.Mutex
			left := answers
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if len(left) == 0 {
					http.Error(w, "no more", http.StatusGone)
					return
				}
				fmt.Fprint(w, left[0])
				left = left[1:]
			}))
			t.Cleanup(site.Close)
			s, err := client.Dial(context10(t), site.URL, &client.Options{MaxMessage: 1000})
			if err == nil {
				<-s.Done()
				err = s.Err()
			}
			if !errors.Is(err, client.ErrProtocol) {
				t.Error(err)
			}
		})
	}
}

// What the server says in its refusal is there, and cannot write on a terminal.
func TestRefused(t *testing.T) {
	url := start(t, &engineio.Server{Options: engineio.Options{AllowRequest: func(*http.Request) error { return errors.New("no \x1b[31mentry") }}})
	for _, transport := range []string{client.Polling, client.WebSocket} {
		_, err := client.Dial(context10(t), url, &client.Options{Transports: []string{transport}})
		refused := new(client.RefusedError)
		if !errors.As(err, &refused) || refused.Status != 403 || refused.Code != map[string]int{client.Polling: 4, client.WebSocket: -1}[transport] || refused.Message != "no ?[31mentry" {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	for name, to := range map[string]string{"loop": "/engine.io/", "file": "file:///etc/passwd"} {
		site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}))
		for _, transport := range []string{client.Polling, client.WebSocket} {
			if _, err := client.Dial(context10(t), site.URL, &client.Options{Transports: []string{transport}}); err == nil {
				t.Errorf("%s over %s is followed", name, transport)
			}
		}
		site.Close()
	}
}

// A POST that a redirect makes a GET would take the answer of a poll, and send nothing.
func TestRedirectOfPost(t *testing.T) {
	server := echo()
	t.Cleanup(func() { server.Close() })
	var gets atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		if r.URL.Path == "/elsewhere" {
			gets.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	ended := make(chan error, 1)
	s, err := client.Dial(context10(t), site.URL, &client.Options{
		Transports: []string{client.Polling}, OnClose: func(_ *client.Session, err error) { ended <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(client.Message{Data: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Within(t, "the end", ended); err == nil || !strings.Contains(err.Error(), "307") || gets.Load() != 0 {
		t.Errorf("%v, after %d requests that take packets", err, gets.Load())
	}
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]client.Options{
		"transports": {Transports: []string{}},
		"a name":     {Transports: []string{"carrier pigeon"}},
		"twice":      {Transports: []string{"polling", "polling"}},
		"no stream":  {Transports: []string{"webtransport"}},
		"timeout":    {Timeout: -1},
		"request":    {RequestTimeout: -1},
		"message":    {MaxMessage: -1},
		"buffer":     {MaxBuffered: -1},
	} {
		if _, err := client.Dial(t.Context(), "http://127.0.0.1:1", &o); err == nil || !strings.HasPrefix(err.Error(), "engineio/client: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{"", "ftp://host", "http://", "://", "host:80"} {
		if _, err := client.Dial(t.Context(), url, nil); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func Example() {
	server := echo()
	defer server.Close()
	site := httptest.NewServer(server)
	defer site.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, site.URL, &client.Options{
		OnMessage: func(s *client.Session, m client.Message) {
			fmt.Printf("%s\n", m.Data)
			_ = s.Close(context.Background())
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = s.Send(client.Message{Data: []byte("hello")})
	<-s.Done()
	// Output: hello
}
