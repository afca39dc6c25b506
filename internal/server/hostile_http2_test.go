package server

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	_ "baro.dev/internal/extendedconnect"
	"baro.dev/internal/testkit"
)

// wire2 is a client of HTTP/2 that is given no help.
type wire2 struct {
	*http2.Framer
	t      *testing.T
	conn   *tls.Conn
	header bytes.Buffer
	hpack  *hpack.Encoder
}

// startHTTP2 runs a server with TLS, and gives what connects to it by HTTP/2.
func startHTTP2(t *testing.T, config Config) (s *Server, dial2 func(settings ...http2.Setting) *wire2) {
	t.Helper()
	cert, key, roots := testkit.Certificate(t)
	config.TLSCert, config.TLSKey, config.NoHTTP3 = cert, key, true
	s = start(t, config)
	return s, func(settings ...http2.Setting) *wire2 {
		t.Helper()
		c := tls.Client(dial(t, s), &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}})
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		w := &wire2{Framer: http2.NewFramer(c, c), t: t, conn: c}
		w.hpack = hpack.NewEncoder(&w.header)
		w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		if err := w.WriteSettings(settings...); err != nil {
			t.Fatal(err)
		}
		return w
	}
}

// request sends the head of a request, unless the connection has ended.
func (w *wire2) request(stream uint32, fields ...string) error {
	w.header.Reset()
	get := fields[1] == "GET"
	for ; len(fields) > 0; fields = fields[2:] {
		if err := w.hpack.WriteField(hpack.HeaderField{Name: fields[0], Value: fields[1]}); err != nil {
			return err
		}
	}
	return w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.header.Bytes(), EndHeaders: true, EndStream: get})
}

var sseOver2 = []string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/c/a", "accept", typeSSE}

// drained reads until the connection ends, and has statuses and refused streams counted.
func (w *wire2) drained(seen func(http2.Frame)) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			f, err := w.ReadFrame()
			if _, ok := err.(http2.StreamError); err != nil && !ok {
				return
			}
			if seen != nil && err == nil {
				seen(f)
			}
		}
	}()
	return ended
}

// flood sends until the server has enough, which it must have in the end, and gives how often it was sent.
func flood(most int, send func(i int) error) (sent int) {
	for sent < most && send(sent) == nil {
		sent++
	}
	return sent
}

// What floods that HTTP/2 makes cheap make the server hold is bounded, and others notice nothing.
func TestHTTP2Floods(t *testing.T) {
	s, dial2 := startHTTP2(t, Config{})
	for name, test := range map[string]struct {
		most int
		ends bool // the connection: a server that keeps up with resets need not
		send func(w *wire2) func(i int) error
	}{
		// CVE-2023-44487
		"rapid reset": {10_000, false, func(w *wire2) func(int) error {
			return func(i int) error {
				stream := uint32(2*i + 1)
				if err := w.request(stream, sseOver2...); err != nil {
					return err
				}
				return w.WriteRSTStream(stream, http2.ErrCodeCancel)
			}
		}},
		// CVE-2023-45288
		"CONTINUATION": {100_000, true, func(w *wire2) func(int) error {
			return func(i int) error {
				fragment := append([]byte{0, 1, 'x', 0x7f, 0xe1, 0x07}, bytes.Repeat([]byte("y"), 1120)...) // a literal of 127+97+7<<7 bytes
				if i == 0 {
					_ = w.request(1, sseOver2...)
					return w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: fragment})
				}
				return w.WriteContinuation(3, false, fragment)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			goroutines := runtime.NumGoroutine()
			w := dial2()
			ended := w.drained(nil)
			var highest atomic.Int64
			send := test.send(w)
			sent := flood(test.most, func(i int) error {
				if i%100 == 0 {
					highest.Store(max(highest.Load(), int64(runtime.NumGoroutine())))
				}
				return send(i)
			})
			w.conn.Close()
			<-ended
			if sent == test.most && test.ends {
				t.Errorf("%d times it was taken", sent)
			}
			if most := int(highest.Load()); most > goroutines+1300 { // as many handlers as streams, and four times as many that wait for one
				t.Errorf("there were %d goroutines, %d before", most, goroutines)
			}
			publishText(t, s, "b", "x")
			eventually(t, "nothing is left", func() bool {
				return s.used() == 0 && s.connections.open.Load() == 0 && runtime.NumGoroutine() <= goroutines+4
			})
		})
	}
}

// Who has answers written, and does not read them, is cut; so is who grants a stream nothing.
func TestHTTP2Withheld(t *testing.T) {
	s, dial2 := startHTTP2(t, Config{QueueBytes: 64 << 10, WriteTimeout: time.Second})
	goroutines := runtime.NumGoroutine()

	// SETTINGS and PING, each of which has to be answered.
	for name, frame := range map[string]string{
		"SETTINGS": "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", // MAX_FRAME_SIZE
		"PING":     "\x00\x00\x08\x06\x00\x00\x00\x00\x0001234567",
	} {
		w := dial2()
		_ = w.conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
		const most = 5000
		many := []byte(strings.Repeat(frame, 1000))
		if sent := flood(most, func(int) error { _, err := w.conn.Write(many); return err }); sent == most {
			t.Errorf("%s: it was taken", name)
		} else {
			t.Logf("%s: %d thousand were taken", name, sent)
		}
		w.conn.Close()
	}

	// A window of 0.
	w := dial2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	ended := w.drained(nil)
	if err := w.request(1, sseOver2...); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is there", func() bool { return s.used() == 1 })
	big := strings.Repeat("x", 10_000)
	eventually(t, "it is cut", func() bool {
		publishText(t, s, "a", big)
		return s.used() == 0
	})
	w.conn.Close()
	<-ended
	eventually(t, "nothing is left", func() bool { return s.connections.open.Load() == 0 && runtime.NumGoroutine() <= goroutines+4 })
}

// One connection has as many WebSockets as it may have streams, and requests for other protocols get none.
func TestHTTP2WebSockets(t *testing.T) {
	s, dial2 := startHTTP2(t, Config{})
	goroutines := runtime.NumGoroutine()
	w := dial2()
	statuses, refused := map[string]int{}, 0
	ready := make(chan struct{}, 1)
	answered := 0
	ended := w.drained(func(f http2.Frame) {
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			statuses[f.PseudoValue("status")]++
			answered++
		case *http2.RSTStreamFrame:
			if f.ErrCode == http2.ErrCodeRefusedStream {
				refused++
				answered++
			}
		}
		if answered == 1000 {
			ready <- struct{}{}
		}
	})
	for i := range uint32(1000) {
		err := w.request(2*i+1, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "localhost", ":path", "/c/a", "sec-websocket-version", "13")
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	testkit.Within(t, "all answers", ready)
	if n := s.used(); n != 250 || statuses["200"] != 250 || refused != 750 {
		t.Errorf("%d are in; %v, %d refused", n, statuses, refused)
	}
	w.conn.Close()
	<-ended
	eventually(t, "nothing is left", func() bool {
		return s.used() == 0 && s.connections.open.Load() == 0 && runtime.NumGoroutine() <= goroutines+4
	})

	for _, protocol := range []string{"webtransport", "WebSocket", "connect-udp", "\"websocket\"", strings.Repeat("x", 5000)} {
		w := dial2()
		if err := w.request(1, ":method", "CONNECT", ":protocol", protocol, ":scheme", "https", ":authority", "localhost", ":path", "/c/a"); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := w.ReadFrame()
			if _, ok := err.(http2.StreamError); ok {
				break
			}
			if err != nil {
				t.Fatalf("%.20q: %v", protocol, err)
			}
			if h, ok := f.(*http2.MetaHeadersFrame); ok {
				if status := h.PseudoValue("status"); status < "400" {
					t.Errorf("%.20q: status %s", protocol, status)
				}
				break
			}
			if _, ok := f.(*http2.RSTStreamFrame); ok {
				break
			}
		}
		w.conn.Close()
	}
	eventually(t, "nothing is left", func() bool { return s.used() == 0 && s.connections.open.Load() == 0 })
}
