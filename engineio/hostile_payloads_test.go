package engineio_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// 21: payloads that are none. The session ends, and the answer is 400.
func TestMalformedPayloads(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	for _, test := range []struct {
		eio                     int
		name, body, contentType string
		reason                  engineio.Reason
	}{
		{4, "empty", "", "", engineio.ParseError},
		{4, "type 9", "9x", "", engineio.ParseError},
		{4, "letter", "xyz", "", engineio.ParseError},
		{4, "separators", strings.Repeat("\x1e", 900_000), "", engineio.ParseError},
		{4, "newlines", strings.Repeat("\n", 900_000), "", engineio.ParseError},
		{4, "bad base64", "b!!!!", "", engineio.ParseError},
		{4, "base64 without its end", "bAQI", "", engineio.ParseError},
		{4, "cut base64", "bAQIDB", "", engineio.ParseError},
		{4, "no UTF-8", "4\xff", "", engineio.ParseError},
		{4, "separator at the end", "4x\x1e", "", engineio.ParseError},
		{4, "declared binary", "4x", "application/octet-stream", engineio.TransportError},
		{4, "declared binary, with a parameter", "4x", "Application/Octet-Stream; charset=x", engineio.TransportError},
		{4, "other type", "4x", "image/png", ""},
		{4, "nonsense for a type", "4x", ";;;", ""},
		{4, "ping", "2", "", engineio.TransportError},
		{4, "payload in a payload", "44x\x1e\x1e", "", engineio.ParseError},
		{3, "empty", "", "", engineio.ParseError},
		{3, "no length", ":4x", "", engineio.ParseError},
		{3, "huge length", "99999999999999999999:4x", "", engineio.ParseError},
		{3, "negative", "-1:4", "", engineio.ParseError},
		{3, "short", "5:4x", "", engineio.ParseError},
		{3, "zero", "0:", "", engineio.ParseError},
		{3, "binary that is text", "2:4x", "application/octet-stream", engineio.ParseError},
		{3, "binary, huge", "\x01" + strings.Repeat("\x09", 400) + "\xff\x04", "application/octet-stream", engineio.ParseError},
		{3, "text that is binary", "\x01\x02\xff\x04x", "", engineio.ParseError},
		{3, "pong", "1:3", "", engineio.TransportError},
	} {
		t.Run(fmt.Sprint(test.eio, test.name), func(t *testing.T) {
			sid := s.poll(test.eio)
			a := s.post(test.eio, sid, test.body, "Content-Type", test.contentType)
			if test.reason == "" {
				a.expect(t, 200, "ok")
				return
			}
			if a.status != 400 || e.Session(sid) != nil {
				t.Error(a)
			}
			expectReason(t, all, test.reason)
		})
	}
}

// 21: what is longer than MaxHTTPBufferSize is refused, whether or not its length is told, and nothing is kept for it.
func TestTooLong(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	long := bytes.Repeat([]byte("x"), 8<<20)
	long[0] = '4'
	for name, body := range map[string]io.Reader{"told": bytes.NewReader(long), "chunked": io.MultiReader(bytes.NewReader(long))} {
		sid := s.poll(4)
		a := s.doContext(context.Background(), "POST", s.query(4, sid), body)
		if a.err == nil && (a.status != 413 || a.body != "") { // the connection may be gone before the body has been sent
			t.Error(name, a)
		}
		expectReason(t, all, engineio.TransportError)
	}
	// Without an end.
	sid := s.poll(4)
	body := &endless{}
	if a := s.doContext(context.Background(), "POST", s.query(4, sid), body); a.err == nil && a.status != 413 {
		t.Error(a)
	}
	expectReason(t, all, engineio.TransportError)
	if n := body.sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	// To the byte.
	sid = s.poll(4)
	s.post(4, sid, string(long[:1_000_000])).expect(t, 200, "ok")
	s.get(4, sid).expect(t, 200, string(long[:1_000_000]))
	_, r := s.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n", s.query(4, sid)))
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 413 || resp.ContentLength != 0 {
		t.Error(resp, err)
	}
	expectReason(t, all, engineio.TransportError)

	c, _ := s.connect(4)
	c.echoes(ws.Text, string(long[:1_000_000]))
	c.send(string(long[:1_000_001]))
	if err := c.expectEnd(); ws.CloseStatus(err) != ws.StatusMessageTooBig {
		t.Error(err)
	}
	expectReason(t, all, engineio.TransportError)
}

// endless is a body without an end, or nearly so.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.sent.Add(int64(len(p))) > 256<<20 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = '4'
	}
	return len(p), nil
}

// A length that is only declared costs nothing.
func TestDeclaredLength(t *testing.T) {
	s := open(t, calm())
	sid := s.poll(4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		c, _ := s.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n4", s.query(4, sid)))
		defer c.Close()
	}
	until(t, "the overlap", func() bool { return s.server.Len() == 0 })
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes for bodies that never came", n)
	}
}

// 21: what is no packet over WebSocket ends the session, and no other.
func TestMalformedFrames(t *testing.T) {
	e := calm()
	all := ends(e)
	s := open(t, e)
	other, _ := s.connect(4)
	for _, test := range []struct {
		eio    int
		kind   ws.MessageType
		data   string
		reason engineio.Reason
	}{
		{4, ws.Text, "", engineio.ParseError}, {4, ws.Text, "7", engineio.ParseError}, {4, ws.Text, "b!", engineio.ParseError}, {4, ws.Text, "2", engineio.TransportError},
		{3, ws.Text, "", engineio.ParseError}, {3, ws.Binary, "", engineio.ParseError}, {3, ws.Binary, "\x02", engineio.ParseError}, {3, ws.Binary, "\x4c", engineio.ParseError},
		{3, ws.Text, "b2AA==", engineio.ParseError}, {3, ws.Text, "3", engineio.TransportError},
		{4, ws.Text, "1", engineio.TransportClose}, {3, ws.Text, "1", engineio.TransportClose},
	} {
		c, _ := s.connect(test.eio)
		if err := c.Write(context.Background(), test.kind, []byte(test.data)); err != nil {
			t.Fatal(err)
		}
		c.expectEnd()
		expectReason(t, all, test.reason)
	}
	// What says nothing here does no harm: open, upgrade, noop.
	other.send("0", "0{}", "5", "6", "6x")
	other.echoes(ws.Text, "4hello")
}
