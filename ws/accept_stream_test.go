package ws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// streamWriter is an http.ResponseWriter of an extended CONNECT whose writes, and whose deadlines, do what a test says.
type streamWriter struct {
	header           http.Header
	write            func(p []byte) (int, error)
	setWriteDeadline func(time.Time) error
}

func (w *streamWriter) Header() http.Header                { return w.header }
func (w *streamWriter) WriteHeader(int)                    {}
func (w *streamWriter) Write(p []byte) (int, error)        { return w.write(p) }
func (w *streamWriter) FlushError() error                  { return nil }
func (w *streamWriter) SetReadDeadline(time.Time) error    { return nil }
func (w *streamWriter) SetWriteDeadline(d time.Time) error { return w.setWriteDeadline(d) }
func (w *streamWriter) accept(t *testing.T, r *http.Request) *ws.Conn {
	t.Helper()
	w.header = make(http.Header)
	deadline := w.setWriteDeadline
	w.setWriteDeadline = func(time.Time) error { return nil } // Accept removes what the server may have set
	c, err := ws.Accept(w, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.setWriteDeadline = deadline
	return c
}

// extendedConnect is a request as net/http's HTTP/2 server gives it to handlers (RFC 8441 4), with a body that never comes.
func extendedConnect(ctx context.Context, t *testing.T) *http.Request {
	t.Helper()
	body, end := io.Pipe()
	t.Cleanup(func() { end.Close() })
	r, err := http.NewRequestWithContext(ctx, http.MethodConnect, "https://example.com/", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	r.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}
	return r
}

// net/http panics when the ResponseWriter of a handler that has returned is used. A handler must not return while its
// WebSocket goes on, but one that does ends its own connection only, not the process.
func TestStreamAfterHandler(t *testing.T) {
	gone := func() { panic("Write called after Handler finished") }
	t.Run("write", func(t *testing.T) {
		wrote := make(chan struct{})
		w := &streamWriter{
			write:            func([]byte) (int, error) { close(wrote); gone(); return 0, nil },
			setWriteDeadline: func(time.Time) error { gone(); return nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := w.accept(t, extendedConnect(ctx, t))
		if err := c.Send(ws.Text, []byte("anybody there?")); err != nil {
			t.Fatal(err)
		}
		<-wrote
		cancel() // as the server does when the handler returns
		<-c.Done()
	})
	t.Run("close", func(t *testing.T) {
		writing, window := make(chan struct{}), make(chan struct{})
		w := &streamWriter{
			write: func([]byte) (int, error) {
				close(writing)
				<-window
				return 0, io.ErrClosedPipe
			},
			setWriteDeadline: func(time.Time) error { close(window); gone(); return nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		c := w.accept(t, extendedConnect(ctx, t))
		if err := c.Send(ws.Text, []byte("anybody there?")); err != nil {
			t.Fatal(err)
		}
		<-writing
		cancel()
		<-c.Done()
	})
}

// A client can be gone before its WebSocket has been accepted.
func TestStreamOfGoneClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		w := &streamWriter{
			write:            func([]byte) (int, error) { return 0, io.ErrClosedPipe },
			setWriteDeadline: func(time.Time) error { return nil },
		}
		c := w.accept(t, extendedConnect(ctx, t))
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
			t.Error(err)
		}
	}
}

// When CloseNow returns, the handler may return too: nobody uses the ResponseWriter any more, not even another goroutine
// that is closing the connection at the same time.
func TestStreamCloseNowWaits(t *testing.T) {
	writing, window := make(chan struct{}), make(chan struct{})
	closing, proceed := make(chan struct{}), make(chan struct{})
	w := &streamWriter{
		write: func([]byte) (int, error) {
			close(writing)
			<-window
			return 0, os.ErrDeadlineExceeded
		},
		setWriteDeadline: func(time.Time) error {
			close(closing)
			<-proceed
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := w.accept(t, extendedConnect(ctx, t))
	if err := c.Send(ws.Text, []byte("stuck")); err != nil {
		t.Fatal(err)
	}
	<-writing
	cancel() // the client has vanished
	<-closing
	close(window)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.CloseNow()
	}()
	select {
	case <-closed:
		t.Error("CloseNow returned while the ResponseWriter was in use")
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	<-closed
}

// fixedStreams answers every request in the same way.
type fixedStreams struct {
	resp   *http.Response
	stream io.ReadWriteCloser
}

func (s fixedStreams) HTTPVersion() int { return 2 }
func (s fixedStreams) Open(*http.Request) (*http.Response, io.ReadWriteCloser, error) {
	return s.resp, s.stream, nil
}

// closingPipe is a body, or a stream, that says when it is closed.
type closingPipe struct {
	io.Reader
	io.Writer
	closed chan struct{}
}

func (p closingPipe) Close() error { close(p.closed); return nil }

// What Open returns is released, however the answer is wrong: a stream comes only with a status of 2xx, and what comes on
// it is not the body of a refusal.
func TestStreamsRefusal(t *testing.T) {
	never, end := io.Pipe()
	defer end.Close()
	response := func(status int, header http.Header, body io.Reader) (*http.Response, chan struct{}) {
		closed := make(chan struct{})
		return &http.Response{
			StatusCode: status, ProtoMajor: 2, Header: header, Body: closingPipe{Reader: body, closed: closed},
		}, closed
	}
	t.Run("refused", func(t *testing.T) {
		resp, closed := response(http.StatusTeapot, nil, bytes.NewReader([]byte("short and stout")))
		_, resp, err := ws.Dial(t.Context(), "wss://example.com", &ws.DialOptions{Streams: fixedStreams{resp, nil}})
		if he, ok := errors.AsType[*ws.HandshakeError](err); !ok || he.Status != http.StatusTeapot {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "short and stout" {
			t.Errorf("body %q, %v", body, err)
		}
		<-closed
	})
	t.Run("wrong subprotocol", func(t *testing.T) {
		resp, bodyClosed := response(http.StatusOK, http.Header{"Sec-Websocket-Protocol": {"other"}}, never)
		stream := closingPipe{closed: make(chan struct{})}
		_, _, err := ws.Dial(t.Context(), "wss://example.com", &ws.DialOptions{Streams: fixedStreams{resp, stream}})
		if _, ok := errors.AsType[*ws.HandshakeError](err); !ok {
			t.Fatal(err)
		}
		<-bodyClosed
		<-stream.closed
	})
}

// Streams know hosts only: the path of a socket must not be taken for nothing, and localhost dialled.
func TestStreamsUnix(t *testing.T) {
	_, _, err := ws.Dial(t.Context(), "wss+unix:///run/app.sock:/ws", &ws.DialOptions{Streams: fixedStreams{}})
	if err == nil || !strings.Contains(err.Error(), "unix") {
		t.Error(err)
	}
}
