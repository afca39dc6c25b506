package engineio_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/engineio"
)

// streamClient is the client's end of a stream, which is a pipe: nothing is sent before it is received.
type streamClient struct {
	net.Conn
	in     *bufio.Reader
	answer *httptest.ResponseRecorder
	served chan struct{} // closed when ServeHTTP has returned
}

// openStream has e serve a stream.
func openStream(e *engineio.Server, header http.Header) *streamClient {
	near, far := net.Pipe()
	c := &streamClient{near, bufio.NewReader(near), httptest.NewRecorder(), make(chan struct{})}
	r := httptest.NewRequest(http.MethodGet, "https://example.com/engine.io/", nil)
	r.Method, r.Header = http.MethodConnect, header
	r = engineio.WithStream(r, func(context.Context) (io.ReadWriteCloser, error) { return far, nil })
	go func() {
		defer close(c.served)
		defer far.Close()
		e.ServeHTTP(c.answer, r)
	}()
	return c
}

// beginStream begins a session.
func beginStream(t *testing.T, e *engineio.Server) *streamClient {
	t.Helper()
	c := openStream(e, nil)
	c.send(t, "0")
	if data, err := c.next(); err != nil || !strings.HasPrefix(data, `0{"sid":`) {
		t.Fatal(data, err)
	}
	return c
}

// send sends short text packets.
func (c *streamClient) send(t *testing.T, packets ...string) {
	t.Helper()
	for _, p := range packets {
		if _, err := c.Write(append([]byte{byte(len(p))}, p...)); err != nil {
			t.Fatal(err)
		}
	}
}

// next receives a packet of less than 64 KiB.
func (c *streamClient) next() (string, error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return "", err
	}
	n := int(first & 0x7f)
	if n == 126 {
		var b [2]byte
		if _, err := io.ReadFull(c.in, b[:]); err != nil {
			return "", err
		}
		n = int(b[0])<<8 | int(b[1])
	}
	data := make([]byte, n)
	_, err = io.ReadFull(c.in, data)
	return string(data), err
}

// after returns how long the server keeps the stream.
func (c *streamClient) after() time.Duration {
	start := time.Now()
	<-c.served
	return time.Since(start)
}

// keeper is a server that keeps what happens to it.
func keeper(o engineio.Options) (e *engineio.Server, opened chan *engineio.Session, ended chan *engineio.CloseError) {
	o.Transports = []string{engineio.Polling, engineio.WebTransport}
	o.Logger = slog.New(slog.DiscardHandler)
	opened, ended = make(chan *engineio.Session, 10), make(chan *engineio.CloseError, 10)
	return &engineio.Server{
		Options: o,
		OnOpen:  func(s *engineio.Session, _ *http.Request) { opened <- s },
		OnClose: func(_ *engineio.Session, err *engineio.CloseError) { ended <- err },
	}, opened, ended
}

// A stream over which no handshake comes is closed after UpgradeTimeout, however it comes by bits.
func TestStreamSilent(t *testing.T) {
	tests := map[string]func(c *streamClient){
		"nothing":  func(*streamClient) {},
		"one byte": func(c *streamClient) { _, _ = c.Write([]byte{100}) },
		"drop wise": func(c *streamClient) {
			_, _ = c.Write([]byte{100})
			for err := error(nil); err == nil; _, err = c.Write([]byte("0")) {
				time.Sleep(time.Second)
			}
		},
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, _, _ := keeper(engineio.Options{})
				c := openStream(e, nil)
				defer c.Close()
				done := make(chan struct{})
				go func() {
					defer close(done)
					do(c)
				}()
				if d := c.after(); d != 10*time.Second || e.Len() != 0 {
					t.Error(d, e.Len())
				}
				<-done
				_ = e.Close()
			})
		})
	}
}

// A client that does not take what it is sent cannot be pinged either.
func TestStreamDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, opened, ended := keeper(engineio.Options{})
		c := beginStream(t, e)
		s := <-opened
		if err := s.Send(engineio.Message{Data: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Buffered(); n != 7 || s.Writable() {
			t.Error(n, s.Writable())
		}
		d := c.after()
		if err := <-ended; err.Reason != engineio.PingTimeout || d < 44*time.Second || d > 46*time.Second {
			t.Error(err, d)
		}
		_ = e.Close()
	})
}

// What waits for a client is bounded: then the session ends.
func TestStreamFull(t *testing.T) {
	data := []byte(strings.Repeat("x", 99))
	tests := map[string]func(e *engineio.Server, s *engineio.Session) error{
		"Send": func(_ *engineio.Server, s *engineio.Session) error { return s.Send(engineio.Message{Data: data}) },
		"two at once": func(_ *engineio.Server, s *engineio.Session) error {
			m := engineio.Message{Data: data}
			return s.Send(m, m)
		},
		"SendPrepared": func(_ *engineio.Server, s *engineio.Session) error {
			return s.SendPrepared(engineio.NewPrepared(engineio.Message{Data: data}))
		},
		"Broadcast": func(e *engineio.Server, s *engineio.Session) error {
			e.Broadcast([]*engineio.Session{s}, engineio.NewPrepared(engineio.Message{Data: data}), false)
			if e.Len() == 0 {
				return engineio.ErrBufferFull
			}
			synctest.Wait()
			return nil
		},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, opened, ended := keeper(engineio.Options{MaxBuffered: 1000})
				c := beginStream(t, e)
				s := <-opened
				var err error
				for i := 0; err == nil && i < 20; i++ {
					err = send(e, s)
					synctest.Wait()
					if n := s.Buffered(); n > 1010 {
						t.Fatal(n)
					}
				}
				if !errors.Is(err, engineio.ErrBufferFull) && !errors.Is(err, engineio.ErrClosed) {
					t.Error(err)
				}
				if d := c.after(); d != 0 {
					t.Error(d)
				}
				if err := <-ended; err.Reason != engineio.TransportError || !errors.Is(err, engineio.ErrBufferFull) {
					t.Error(err)
				}
				_ = e.Close()
			})
		})
	}
}

// What has been sent leaves before the end, for as long as the client takes it.
func TestStreamClose(t *testing.T) {
	hello := strings.Repeat("hello", 200)
	tests := map[string]struct {
		reads int
		end   func(s *engineio.Session)
		kept  time.Duration
	}{
		"all is read": {100, (*engineio.Session).Close, 0},
		"not all":     {50, (*engineio.Session).Close, 5 * time.Second},
		"CloseNow":    {0, (*engineio.Session).CloseNow, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, opened, ended := keeper(engineio.Options{})
				c := beginStream(t, e)
				s := <-opened
				for range 100 {
					if err := s.Send(engineio.Message{Data: []byte(hello)}); err != nil {
						t.Fatal(err)
					}
				}
				tt.end(s)
				if err := <-ended; err.Reason != engineio.ForcedClose {
					t.Error(err)
				}
				for i := range tt.reads {
					if data, err := c.next(); data != "4"+hello || err != nil {
						t.Fatal(i, data, err)
					}
				}
				if d := c.after(); d != tt.kept {
					t.Error(d)
				}
				_ = e.Close()
			})
		})
	}
}

// Nothing more is read than may wait for the handler.
func TestStreamPause(t *testing.T) {
	const n = 1000
	synctest.Test(t, func(t *testing.T) {
		e, _, ended := keeper(engineio.Options{})
		gate, handled := make(chan struct{}), 0
		e.OnMessage = func(s *engineio.Session, _ engineio.Message) {
			<-gate
			if handled++; handled == n {
				s.Close()
			}
		}
		c := beginStream(t, e)
		sent := 0
		frame := append([]byte{126, 4, 1, '4'}, strings.Repeat("x", 1024)...)
		go func() {
			for range n {
				if _, err := c.Write(frame); err != nil {
					t.Error(err)
				}
				sent++
			}
		}()
		synctest.Wait()
		if sent < 200 || sent > 350 {
			t.Error(sent, "messages have been read")
		}
		close(gate)
		if err := <-ended; err.Reason != engineio.ForcedClose || handled != n {
			t.Error(err, handled)
		}
		<-c.served
		_ = e.Close()
	})
}

// Shutdown waits for what has been sent, but not for who has said nothing.
func TestStreamShutdown(t *testing.T) {
	for name, reads := range map[string]bool{"the client reads": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, opened, ended := keeper(engineio.Options{})
				silent := openStream(e, nil)
				c := beginStream(t, e)
				if err := (<-opened).Send(engineio.Message{Data: []byte("hello")}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				down := make(chan error)
				go func() { down <- e.Shutdown(ctx) }()
				if d := silent.after(); d != 0 {
					t.Error("the silent one is kept for", d)
				}
				if reads {
					if data, err := c.next(); data != "4hello" || err != nil {
						t.Error(data, err)
					}
				}
				if err := <-down; reads != (err == nil) {
					t.Error(err)
				}
				<-c.served
				if err := <-ended; err.Reason != engineio.ServerClose {
					t.Error(err)
				}
				late := openStream(e, nil)
				<-late.served
				if late.answer.Code != http.StatusServiceUnavailable {
					t.Error(late.answer.Code)
				}
			})
		})
	}
}

// What a handshake by other transports is asked, one over a stream is asked too.
func TestStreamRefused(t *testing.T) {
	e, _, _ := keeper(engineio.Options{})
	defer e.Close()
	for name, tt := range map[string]struct {
		origin string
		status int
		body   string
	}{
		"foreign":            {"https://evil.example", 403, "Forbidden"},
		"illegal characters": {"https://example.com\x01", 400, "Bad request"},
		"own":                {"https://example.com", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := openStream(e, http.Header{"Origin": {tt.origin}})
			defer c.Close()
			if tt.status == 200 {
				c.send(t, "0")
				_, _ = c.next()
				_ = c.Close()
			}
			<-c.served
			if c.answer.Code != tt.status || c.answer.Body.String() != tt.body {
				t.Error(c.answer.Code, c.answer.Body)
			}
		})
	}
}
