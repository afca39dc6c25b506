package webtransport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"

	"baro.dev/engineio"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
	"baro.dev/ws/wsh3"
)

func TestSession(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{Options: engineio.Options{InitialPacket: "welcome"}})
	c := h.begin(t)
	c.expect("4welcome")
	s := within(t, "OnOpen", h.opened)
	if s.Transport() != engineio.WebTransport || s.Protocol() != 4 || h.engine.Len() != 1 {
		t.Error(s.Transport(), s.Protocol(), h.engine.Len())
	}
	for _, n := range []int{0, 1, 124, 125, 126, 65534, 65535, 65536, 999_999} {
		text := "4" + strings.Repeat("x", n)
		c.send(text)
		c.expect(text)
	}
	for _, n := range []int{1, 125, 126, 65535, 65536, 1_000_000} {
		data := strings.Repeat("\xff", n)
		if _, err := c.stream.Write(frame(true, data)); err != nil {
			t.Fatal(err)
		}
		isBinary, got, err := c.next()
		if err != nil || !isBinary || got != data {
			t.Fatalf("%d bytes: %t, %d bytes, %v", n, isBinary, len(got), err)
		}
	}
	// No frame is empty, and so base64 has to carry an empty message.
	if err := s.Send(engineio.Message{Binary: true}); err != nil {
		t.Fatal(err)
	}
	c.expect("b")
	h.engine.Broadcast([]*engineio.Session{s}, engineio.NewPrepared(engineio.Message{Data: []byte("all")}, engineio.Message{Data: []byte("of you")}), false)
	c.expect("4all", "4of you")
}

// A message's frames do not have to arrive in one piece.
func TestCut(t *testing.T) {
	h := serve(t, &engineio.Server{})
	c := h.begin(t)
	long := strings.Repeat("long", 50)
	bytes := slices.Concat(frame(false, "4a"), frame(true, "\x00\x01"), frame(false, "4"+long))
	for i := range bytes {
		for _, part := range [][]byte{bytes[:i], bytes[i:]} {
			if _, err := c.stream.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		c.expect("4a")
		if isBinary, data, err := c.next(); !isBinary || data != "\x00\x01" || err != nil {
			t.Fatal(isBinary, data, err)
		}
		c.expect("4" + long)
	}
}

func TestHeartbeat(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{Options: engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: 5 * time.Second}})
	h.Hasten()
	c := h.begin(t)
	within(t, "OnOpen", h.opened)
	for range 3 {
		if _, data, err := c.next(); data != "2" || err != nil {
			t.Fatalf("%q %v, want a ping", data, err)
		}
		c.send("3")
	}
	if err := within(t, "OnClose", h.closed); err.Reason != engineio.PingTimeout {
		t.Error(err)
	}
	c.ended()
}

func TestMalformed(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{Options: engineio.Options{MaxHTTPBufferSize: 1000}})
	h.Hasten()
	first := map[string][]byte{
		"no frame":             {0},
		"binary":               frame(true, "0"),
		"a message":            frame(false, "4hello"),
		"a probe":              frame(false, "2probe"),
		"no JSON":              frame(false, "0{"),
		"no object":            frame(false, "0[]"),
		"no id":                frame(false, "0{}"),
		"an id that is a list": frame(false, `0{"sid":["x"]}`),
		"unknown type":         frame(false, "7"),
		"no UTF-8":             frame(false, "0{\"sid\":\"\xff\"}"),
	}
	for name, b := range first {
		t.Run("first/"+name, func(t *testing.T) {
			c := h.connect(t)
			if _, err := c.stream.Write(b); err != nil {
				t.Fatal(err)
			}
			c.ended()
			if h.engine.Len() != 0 {
				t.Error("there is a session")
			}
		})
	}
	later := map[string]struct {
		bytes  []byte
		reason engineio.Reason
		err    error
	}{
		"empty":            {[]byte{0}, engineio.ParseError, engineio.ErrFrame},
		"empty binary":     {[]byte{0x80}, engineio.ParseError, engineio.ErrFrame},
		"oversize":         {frame(false, "4"+strings.Repeat("x", 1000)), engineio.ParseError, engineio.ErrFrame},
		"oversize binary":  {frame(true, strings.Repeat("x", 1001)), engineio.ParseError, engineio.ErrFrame},
		"beyond all sizes": {bytes.Repeat([]byte{0xff}, 9), engineio.ParseError, engineio.ErrFrame},
		"too many bytes":   {[]byte{126, 0, 125}, engineio.ParseError, engineio.ErrFrame},
		"far too many":     {[]byte{127, 0, 0, 0, 0, 0, 0, 0, 5}, engineio.ParseError, engineio.ErrFrame},
		"no UTF-8":         {frame(false, "4\xc0\x80"), engineio.ParseError, engineio.ErrFrame},
		"unknown type":     {frame(false, "9"), engineio.ParseError, nil},
		"broken base64":    {frame(false, "b!"), engineio.ParseError, nil},
		"a ping":           {frame(false, "2"), engineio.TransportError, nil},
		"a close":          {frame(false, "1"), engineio.TransportClose, nil},
	}
	for name, tt := range later {
		t.Run("later/"+name, func(t *testing.T) {
			c := h.begin(t)
			within(t, "OnOpen", h.opened)
			if _, err := c.stream.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			if err := within(t, "OnClose", h.closed); err.Reason != tt.reason || tt.err != nil && !errors.Is(err, tt.err) {
				t.Error(err)
			}
			c.ended()
		})
	}
}

// Who opens no stream, or says nothing over it, is not kept for longer than an upgrade may take.
func TestSilent(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{Options: engineio.Options{UpgradeTimeout: 3 * time.Second}})
	h.Hasten()
	tests := map[string]func(c *client){
		"no stream":    func(c *client) {},
		"half a frame": func(c *client) { _, _ = c.stream.Write([]byte{1}) },
		"half a handshake": func(c *client) {
			_, _ = c.stream.Write(frame(false, upgradeTo("x"))[:5])
		},
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			c := h.connect(t) // a stream is heard of when something is written
			do(c)
			c.ended()
			if d := time.Since(start); d < 2*time.Second {
				t.Error("ended after", d)
			}
		})
	}
	t.Run("no probe", func(t *testing.T) {
		t.Parallel()
		p := h.poller(t)
		sid, _ := p.open()
		within(t, "OnOpen", h.opened)
		c := h.connect(t)
		c.send(upgradeTo(sid))
		c.ended()
	})
	t.Run("no upgrade", func(t *testing.T) {
		t.Parallel()
		p := h.poller(t)
		sid, _ := p.open()
		within(t, "OnOpen", h.opened)
		c := h.connect(t)
		c.send(upgradeTo(sid), "2probe")
		c.expect("3probe")
		c.ended()
	})
}

// A client that sends faster than it is served is made to wait, and loses nothing.
func TestBackpressure(t *testing.T) {
	noLeaks(t)
	gate, count := make(chan struct{}), make(chan int, 1000)
	h := serve(t, &engineio.Server{OnMessage: func(_ *engineio.Session, m engineio.Message) {
		<-gate
		count <- len(m.Data)
	}})
	c := h.begin(t)
	const n, size = 100, 50_000
	sent := make(chan error, 1)
	go func() {
		for range n {
			if _, err := c.stream.Write(frame(true, strings.Repeat("x", size))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	select {
	case err := <-sent:
		t.Errorf("%d bytes were taken though nobody handled them: %v", n*size, err)
	case <-time.After(300 * time.Millisecond):
	}
	close(gate)
	for range n {
		if got := within(t, "a message", count); got != size {
			t.Error(got)
		}
	}
	if err := within(t, "the client", sent); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	noLeaks(t)
	no := errors.New("not you")
	tests := map[string]struct {
		options engineio.Options
		header  http.Header
		status  int
	}{
		"not enabled":    {engineio.Options{Transports: []string{engineio.Polling}}, nil, 400},
		"foreign origin": {engineio.Options{}, http.Header{"Origin": {"https://evil.example"}}, 403},
		"allowed origin": {engineio.Options{CORS: &engineio.CORS{Origins: []string{"https://*.example"}}}, http.Header{"Origin": {"https://good.example"}}, 200},
		"another path":   {engineio.Options{Path: "/other"}, nil, 404},
		// The client says after the answer that it begins a session.
		"AllowRequest": {engineio.Options{AllowRequest: func(r *http.Request) error {
			if r.Header.Get("Authorization") != "me" {
				return no
			}
			return nil
		}}, nil, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := serve(t, &engineio.Server{Options: tt.options})
			session, resp, err := h.dial(t, tt.header)
			if resp == nil || resp.StatusCode != tt.status {
				t.Fatal(resp, err)
			}
			if name == "AllowRequest" {
				str, err := session.OpenStream()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := str.Write(frame(false, "0")); err != nil {
					t.Fatal(err)
				}
				within(t, "the end", session.Context().Done())
			}
			if h.engine.Len() != 0 {
				t.Error("there is a session")
			}
		})
	}
}

// More streams and datagrams are not what the protocol has: they change nothing.
func TestMoreStreams(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{})
	c := h.begin(t)
	for range 250 { // more than may be open at once
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		str, err := c.session.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = str.Write(frame(false, "4no"))
		_ = str.SetReadDeadline(time.Now().Add(testkit.Patience))
		if _, err := str.Read(make([]byte, 1)); !errors.As(err, new(*wt.StreamError)) {
			t.Fatal(err)
		}
		str.CancelWrite(0)
		uni, err := c.session.OpenUniStreamSync(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = uni.Write([]byte("no"))
		_ = uni.Close()
		_ = c.session.SendDatagram([]byte("no"))
	}
	c.send("4yes")
	c.expect("4yes")
}

// On the same port, polling and WebSocket go on over HTTP/3.
func TestOthers(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{})
	p := h.poller(t)
	p.open()
	p.post("4hello")
	if body := p.get(); body != "4hello" {
		t.Error(body)
	}
	streams := &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: h.tls()}}
	defer streams.Close()
	c, _, err := ws.Dial(t.Context(), "wss://"+h.addr+"/engine.io/?EIO=4&transport=websocket", &ws.DialOptions{Streams: streams})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if m, err := c.Read(t.Context()); err != nil || m.Data[0] != '0' {
		t.Fatal(m, err)
	}
	if err := c.Write(t.Context(), ws.Text, []byte("4hello")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Read(t.Context()); err != nil || m.String() != "4hello" {
		t.Error(m, err)
	}
	header := http.Header{}
	h.SetAltSvc(header)
	if got := header.Get("Alt-Svc"); got != fmt.Sprintf(`h3=":%s"; ma=2592000`, h.addr[strings.LastIndexByte(h.addr, ':')+1:]) {
		t.Error(got)
	}
}
