package wsh3_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
)

// A peer that vanishes without a word is noticed: by QUIC, or by the WebSocket's own pings, whichever comes first.
func TestVanishes(t *testing.T) {
	tests := map[string]struct {
		idle      time.Duration
		keepalive ws.Keepalive
		want      error
	}{
		"QUIC":      {3 * time.Second, ws.Keepalive{Interval: -1}, new(quic.IdleTimeoutError)},
		"WebSocket": {time.Minute, ws.Keepalive{Interval: 50 * time.Millisecond, Timeout: 50 * time.Millisecond}, ws.ErrPeerTimeout},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			serverEnd, opened := make(chan error, 1), make(chan struct{})
			s := serve(t, &ws.Server{
				Options: ws.AcceptOptions{Keepalive: tt.keepalive},
				OnOpen:  func(*ws.Socket, *http.Request) { close(opened) },
				OnClose: func(_ *ws.Socket, err error) { serverEnd <- err },
			}, &quic.Config{MaxIdleTimeout: tt.idle})
			streams := s.streams(t)
			streams.Transport.QUICConfig = &quic.Config{MaxIdleTimeout: tt.idle, KeepAlivePeriod: time.Minute}
			c, _, err := ws.Dial(t.Context(), s.url, &ws.DialOptions{Streams: streams, Keepalive: tt.keepalive})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			<-opened
			s.socket.Close() // nothing leaves or arrives any more
			if _, err := c.Read(context.Background()); ws.CloseStatus(err) != ws.StatusAbnormalClosure || !errors.Is(err, tt.want) {
				t.Errorf("the client: %v", err)
			}
			if err := testkit.Within(t, "the server", serverEnd); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
				t.Errorf("the server: %v", err)
			}
		})
	}
}

// A stream that is reset ends its own WebSocket only.
func TestReset(t *testing.T) {
	testkit.NoLeaks(t)
	mux := http.NewServeMux()
	mux.Handle("/echo", streamtest.Echoes(ws.AcceptOptions{})["Accept"])
	mux.HandleFunc("/reset", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		str := w.(http3.HTTPStreamer).HTTPStream()
		str.CancelRead(quic.StreamErrorCode(http3.ErrCodeInternalError))
		str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeInternalError))
	})
	s := serve(t, mux, nil)
	streams := s.streams(t)
	c := open(t, s.url+"/echo", streams)
	for range 10 {
		c, _, err := ws.Dial(t.Context(), s.url+"/reset", &ws.DialOptions{Streams: streams})
		if err != nil {
			continue // the reset has overtaken the answer
		}
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
			t.Error(err)
		}
		c.CloseNow()
	}
	echo(t, c, "still here")
	if n := len(s.accepted()); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Readers who stop do not stop the other WebSockets of their connection.
func TestStalledReaders(t *testing.T) {
	testkit.NoLeaks(t)
	mux := http.NewServeMux()
	mux.Handle("/echo", streamtest.Echoes(ws.AcceptOptions{})["Accept"])
	full := make(chan struct{}, 1)
	mux.Handle("/flood", streamtest.Accepting(&ws.AcceptOptions{Queue: ws.Queue{Full: ws.Drop}}, func(c *ws.Conn) {
		data := make([]byte, 32<<10)
		for c.Send(ws.Binary, data) == nil {
		}
		full <- struct{}{}
		<-c.Done()
	}))
	s := serve(t, mux, nil)
	streams := s.streams(t)
	for range 8 {
		open(t, s.url+"/flood", streams)
		testkit.Within(t, "the stream to fill", full)
	}
	echo(t, open(t, s.url+"/echo", streams), "hello")
	if n := len(s.accepted()); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Nor do handlers who stop, on a server that is configured as the package comment says.
func TestStalledHandlers(t *testing.T) {
	testkit.NoLeaks(t)
	mux := http.NewServeMux()
	mux.Handle("/echo", streamtest.Echoes(ws.AcceptOptions{})["Accept"])
	o := ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 200 * time.Millisecond}}
	mux.Handle("/stall", streamtest.Accepting(&o, func(c *ws.Conn) { <-c.Done() }))
	s := serve(t, mux, &quic.Config{InitialConnectionReceiveWindow: 16 << 20, MaxConnectionReceiveWindow: 16 << 20})
	streams := s.streams(t)
	for range 8 {
		c, _, err := ws.Dial(t.Context(), s.url+"/stall", &ws.DialOptions{Streams: streams, Queue: ws.Queue{Full: ws.Drop}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for c.Send(ws.Binary, make([]byte, 32<<10)) == nil {
		}
	}
	echo(t, open(t, s.url+"/echo", streams), "hello")
	if n := len(s.accepted()); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// What was written arrives though the client closes at once, as over TCP.
func TestWriteAndLeave(t *testing.T) {
	testkit.NoLeaks(t)
	got := make(chan string, 1)
	s := serve(t, &ws.Server{
		OnMessage: func(_ *ws.Socket, m ws.Message) { got <- m.String() },
		OnClose:   func(*ws.Socket, error) { close(got) },
	}, nil)
	o := &ws.DialOptions{Streams: s.streams(t)}
	c, _, err := ws.Dial(t.Context(), s.url, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), ws.Text, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	for c.Buffered() > 0 {
		time.Sleep(time.Millisecond) // nothing tells when it has been handed to QUIC
	}
	c.CloseNow()
	if text := testkit.Within(t, "the message", got); text != "bye" {
		t.Errorf("%q", text)
	}
}
