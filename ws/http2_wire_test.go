package ws_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/internal/streamtest"
)

// wire2 is a client of HTTP/2 that is given no help: what it sends, and when, is up to the test.
type wire2 struct {
	*http2.Framer
	t      *testing.T
	stream uint32 // the last one opened
	header bytes.Buffer
	hpack  *hpack.Encoder
}

// dialWire2 connects to p; window is SETTINGS_INITIAL_WINDOW_SIZE: how much the server may send on a stream.
func dialWire2(t *testing.T, p *streamtest.Peer, window uint32) *wire2 {
	t.Helper()
	config := p.Options.TLS.Clone()
	config.NextProtos = []string{"h2"}
	nc, err := tls.Dial("tcp", strings.TrimPrefix(p.URL, "wss://"), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	w := &wire2{Framer: http2.NewFramer(nc, nc), t: t}
	w.stream--
	w.hpack = hpack.NewEncoder(&w.header)
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.must(w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
	return w
}

func (w *wire2) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// open sends an extended CONNECT on a new stream; fields replaces header fields, or removes those it has as "".
func (w *wire2) open(fields map[string]string) {
	w.t.Helper()
	w.stream += 2
	w.header.Reset()
	for _, f := range [][2]string{
		{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", "/"},
		{":authority", "127.0.0.1"}, {"sec-websocket-version", "13"},
	} {
		value, ok := fields[f[0]]
		if !ok {
			value = f[1]
		}
		if value != "" {
			w.must(w.hpack.WriteField(hpack.HeaderField{Name: f[0], Value: value}))
		}
	}
	w.must(w.WriteHeaders(http2.HeadersFrameParam{StreamID: w.stream, BlockFragment: w.header.Bytes(), EndHeaders: true}))
}

// status reads until the answer on the last stream has come, and returns its status.
func (w *wire2) status() string {
	w.t.Helper()
	f := w.until(func(f http2.Frame) bool { _, ok := f.(*http2.MetaHeadersFrame); return ok })
	return f.(*http2.MetaHeadersFrame).PseudoValue("status")
}

// until reads until a frame is what is wanted, and returns it.
func (w *wire2) until(wanted func(f http2.Frame) bool) http2.Frame {
	w.t.Helper()
	for {
		f, err := w.ReadFrame()
		w.must(err)
		if s, ok := f.(*http2.SettingsFrame); ok && !s.IsAck() {
			w.must(w.WriteSettingsAck())
		}
		if wanted(f) {
			return f
		}
	}
}

// alive checks that the connection as such has come to no harm.
func (w *wire2) alive() {
	w.t.Helper()
	w.must(w.WritePing(false, [8]byte{1}))
	w.until(func(f http2.Frame) bool { p, ok := f.(*http2.PingFrame); return ok && p.IsAck() })
}

// maskedText is a text frame of a client, with a key of zeros.
func maskedText(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// RFC 8441 5: the frames are those of RFC 6455, in DATA frames cut anywhere.
func TestHTTP2CutFrames(t *testing.T) {
	testkit.NoLeaks(t)
	for way, handler := range streamtest.Echoes(ws.AcceptOptions{}) {
		t.Run(way, func(t *testing.T) {
			p := streamsOver(2)(t, handler)
			w := dialWire2(t, p, 1<<16)
			w.open(nil)
			if status := w.status(); status != "200" {
				t.Fatal(status)
			}
			sent := slices.Concat(maskedText("hello"), maskedText("world"), []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})
			for i := range sent {
				w.must(w.WriteData(w.stream, false, sent[i:i+1]))
			}
			want := "\x81\x05hello\x81\x05world\x88\x02\x03\xe8"
			var got []byte
			w.until(func(f http2.Frame) bool {
				d, ok := f.(*http2.DataFrame)
				if ok {
					got = append(got, d.Data()...)
				}
				return ok && d.StreamEnded()
			})
			if string(got) != want {
				t.Errorf("%q, not %q", got, want)
			}
			w.alive()
		})
	}
}

func TestHTTP2Refusals(t *testing.T) {
	testkit.NoLeaks(t)
	p := streamsOver(2)(t, &ws.Server{})
	w := dialWire2(t, p, 1<<16)
	for _, tt := range []struct {
		fields map[string]string
		status string
	}{
		{map[string]string{":protocol": "connect-udp"}, "501"},
		{map[string]string{"sec-websocket-version": ""}, "400"},
		{map[string]string{"sec-websocket-version": "8"}, "400"},
		{map[string]string{":protocol": "", ":method": "GET"}, "405"},
		{nil, "200"},
	} {
		w.open(tt.fields)
		if status := w.status(); status != tt.status {
			t.Errorf("%v: status %s, not %s", tt.fields, status, tt.status)
		}
	}
	w.alive()
}

// A peer that lets the server send nothing keeps nobody, and its connection goes on.
func TestHTTP2ZeroWindow(t *testing.T) {
	ctx := context.Background()
	timeout := 200 * time.Millisecond
	o := &ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: timeout}, Queue: ws.Queue{MaxBytes: 4096, Full: ws.Drop}}
	type end func(t *testing.T, c *ws.Conn)
	for name, end := range map[string]end{
		"CloseNow": func(_ *testing.T, c *ws.Conn) { c.CloseNow() },
		"Close": func(t *testing.T, c *ws.Conn) {
			if err := c.Close(ctx, ws.StatusNormalClosure, ""); ws.CloseStatus(err) == 0 {
				t.Error(err)
			}
		},
		"Ping": func(t *testing.T, c *ws.Conn) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			if _, err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		},
		"Write": func(t *testing.T, c *ws.Conn) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			if err := c.Write(ctx, ws.Text, make([]byte, 2000)); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			done := make(chan struct{})
			p := streamsOver(2)(t, streamtest.Accepting(o, func(c *ws.Conn) {
				var err error
				for range 10 {
					before := time.Now()
					err = c.Send(ws.Text, make([]byte, 1000))
					if took := time.Since(before); took > 5*time.Second {
						t.Errorf("a Send took %v", took)
					}
				}
				if !errors.Is(err, ws.ErrQueueFull) {
					t.Error(err)
				}
				end(t, c)
				c.CloseNow()
				close(done)
			}))
			w := dialWire2(t, p, 0)
			w.open(nil)
			if status := w.status(); status != "200" {
				t.Fatal(status)
			}
			testkit.Within(t, "the handler", done)
			w.alive()
		})
	}
	t.Run("Shutdown", func(t *testing.T) {
		testkit.NoLeaks(t)
		opened := make(chan struct{})
		server := &ws.Server{Options: *o, OnOpen: func(c *ws.Socket, _ *http.Request) {
			if err := c.Send(ws.Text, []byte("stuck")); err != nil {
				t.Error(err)
			}
			close(opened)
		}}
		p := streamsOver(2)(t, server)
		w := dialWire2(t, p, 0)
		w.open(nil)
		<-opened
		done := make(chan error, 1)
		go func() { done <- server.Shutdown(ctx) }()
		if err := testkit.Within(t, "Shutdown", done); err != nil {
			t.Error(err)
		}
		w.alive()
	})
}

// However the peer leaves, it is an abnormal closure, unless a close frame came first.
func TestHTTP2PeerLeaves(t *testing.T) {
	for name, leave := range map[string]func(w *wire2){
		"END_STREAM":                func(w *wire2) { w.must(w.WriteData(w.stream, true, nil)) },
		"END_STREAM within a frame": func(w *wire2) { w.must(w.WriteData(w.stream, true, []byte{0x81})) },
		"RST_STREAM":                func(w *wire2) { w.must(w.WriteRSTStream(w.stream, http2.ErrCodeCancel)) },
	} {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			ends := make(chan error, 1)
			p := streamsOver(2)(t, &ws.Server{OnClose: func(_ *ws.Socket, err error) { ends <- err }})
			w := dialWire2(t, p, 1<<16)
			w.open(nil)
			if status := w.status(); status != "200" {
				t.Fatal(status)
			}
			leave(w)
			if err := testkit.Within(t, "the server", ends); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
				t.Error(err)
			}
		})
	}
}
