package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gorilla "github.com/gorilla/websocket"

	"baro.dev/ws"
)

// A story is what a library made of a stream of bytes: messages, and how they ended.
type story struct {
	messages []message
	end      string // "eof", "close", "violation"
	code     int    // of a close, or the one we would send for a violation
	text     string // of a close, or what is wrong
}

func (s story) String() string { return fmt.Sprintf("%v %s %d %q", s.messages, s.end, s.code, s.text) }

type message struct {
	typ  int
	data string
}

func (m message) String() string { return fmt.Sprintf("%d:%q", m.typ, m.data) }

// side is a role and what was negotiated.
type side struct{ client, deflate bool }

const extension = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// ours is the story that baro.dev/ws tells.
func ours(t *testing.T, s side, data []byte) (story story) {
	t.Helper()
	limits := ws.Limits{MaxMessageSize: -1, MaxFragments: -1, MaxControlFrames: -1}
	keepalive := ws.Keepalive{Interval: -1}
	compression := ws.Compression{Enabled: s.deflate}
	var c *ws.Conn
	var err error
	if s.client {
		c, _, err = ws.Dial(context.Background(), "ws://peer/", &ws.DialOptions{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return answering(s, data), nil },
			Proxy:       func(*url.URL) (*url.URL, error) { return nil, nil },
			Compression: compression, Limits: limits, Keepalive: keepalive,
		})
	} else {
		w := &hijacked{conn: &memory{in: bytes.NewReader(data)}}
		c, err = ws.Accept(w, request(s), &ws.AcceptOptions{Compression: compression, Limits: limits, Keepalive: keepalive})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.Compressed() != s.deflate {
		t.Fatal("not negotiated")
	}
	for {
		m, err := c.Read(context.Background())
		if err == nil {
			story.messages = append(story.messages, message{int(m.Type), m.String()})
			continue
		}
		ce, ok := errors.AsType[*ws.CloseError](err)
		if !ok {
			t.Fatalf("ended with %v", err)
		}
		story.code, story.text = int(ce.Code), ce.Reason
		switch {
		case ce.Remote:
			story.end = "close"
		case ce.Code == ws.StatusAbnormalClosure:
			story.end = "eof"
		default:
			story.end = "violation"
		}
		return story
	}
}

// theirs is the story that gorilla/websocket tells.
func theirs(t *testing.T, s side, data []byte) (story story) {
	t.Helper()
	var c *gorilla.Conn
	var err error
	if s.client {
		d := gorilla.Dialer{
			NetDialContext:    func(context.Context, string, string) (net.Conn, error) { return answering(s, data), nil },
			EnableCompression: s.deflate,
		}
		c, _, err = d.Dial("ws://peer/", nil)
	} else {
		u := gorilla.Upgrader{EnableCompression: s.deflate}
		c, err = u.Upgrade(&hijacked{conn: &memory{in: bytes.NewReader(data)}}, request(s), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		typ, p, err := c.ReadMessage()
		if err == nil {
			story.messages = append(story.messages, message{typ, string(p)})
			continue
		}
		var ce *gorilla.CloseError
		switch {
		case err == io.EOF, errors.As(err, &ce) && ce.Code == gorilla.CloseAbnormalClosure:
			story.end = "eof"
		case ce != nil:
			story.end, story.code, story.text = "close", ce.Code, ce.Text
		default:
			story.end, story.text = "violation", err.Error()
		}
		return story
	}
}

// difference says why the two stories of data may differ, "" if they do not, and fails the test if they must not.
//
// What gorilla/websocket accepts and RFC 6455 and 7692 do not:
//   - text that is not valid UTF-8 (8.1);
//   - a length in more bytes than it needs (5.2: "the minimal number of bytes MUST be used");
//   - a close frame with a payload of one byte (5.5.1);
//   - RSV1 in control frames and continuations (RFC 7692 6), once compression was negotiated.
//
// What it refuses though it was registered later: code 1014. What it does as the bytes come, or only when the header is
// whole, shows in streams that are cut there. It inflates as the bytes come, too, and takes a final block for the end
// of the message, and what the tail completes for whole.
func difference(t *testing.T, s side, data []byte) string {
	t.Helper()
	a, b := ours(t, s, data), theirs(t, s, data)
	same := 0
	for same < min(len(a.messages), len(b.messages)) && a.messages[same] == b.messages[same] {
		same++
	}
	mine, other := a.messages[same:], b.messages[same:]
	switch {
	case len(mine) == 0 && len(other) == 0 && a.end == b.end && (a.end != "close" || a.code == b.code && a.text == b.text):
		return ""
	case len(mine) == 0 && a.end == "violation":
		switch {
		case a.code == 1007 && strings.Contains(a.text, "not valid UTF-8"):
			if len(other) == 0 || other[0].typ == gorilla.TextMessage && !utf8.ValidString(other[0].data) {
				return "UTF-8"
			}
		case a.code == 1002 && (strings.Contains(a.text, "in two bytes, not") || strings.Contains(a.text, "in eight bytes, not")):
			return "length in too many bytes"
		case a.code == 1002 && strings.Contains(a.text, "payload of one byte") && b.end == "close" && b.code == 1005:
			return "close of one byte"
		case a.code == 1002 && s.deflate && strings.HasPrefix(a.text, "reserved bits 100") && !strings.Contains(a.text, "text") && !strings.Contains(a.text, "binary"):
			return "RSV1 out of place"
		case len(other) == 0 && b.end == "eof" && theirs(t, s, pad(data)).end == "violation":
			return "header cut short"
		}
	case len(mine)+len(other) == 0 && a.end == "close" && a.code == 1014 && b.text == "websocket: bad close code 1014":
		return "1014"
	case len(mine)+len(other) == 0 && a.end == "eof" && b.end == "violation" && ours(t, s, pad(data)).end == "violation":
		return "header cut short"
	}
	if s.deflate && compressed(s, data) {
		return "inflating"
	}
	t.Fatalf("%+v of %x:\nours   %v\ntheirs %v", s, data, a, b)
	return ""
}

// pad lets a header that was cut short come whole.
func pad(data []byte) []byte { return append(bytes.Clone(data), bytes.Repeat([]byte{0x80}, 14)...) }

// compressed reports whether there is a compressed message among the frames of data.
func compressed(s side, data []byte) bool {
	for len(data) >= 2 {
		if data[0]&0x40 != 0 {
			return true
		}
		header, length := 2, uint64(data[1]&0x7F)
		if extra := map[uint64]int{126: 2, 127: 8}[length]; extra > 0 {
			if len(data) < 2+extra {
				return false
			}
			length = 0
			for _, b := range data[2 : 2+extra] {
				length = length<<8 | uint64(b)
			}
			header += extra
		}
		if !s.client {
			header += 4
		}
		if uint64(len(data)) < uint64(header) || length > uint64(len(data)-header) {
			return false
		}
		data = data[header+int(length):]
	}
	return false
}

// FuzzDifferential gives arbitrary bytes to both libraries, in each role, with and without compression.
func FuzzDifferential(f *testing.F) {
	for _, s := range seeds {
		f.Add(s.side.client, s.side.deflate, []byte(s.data))
	}
	f.Fuzz(func(t *testing.T, client, deflate bool, data []byte) {
		if len(data) > 4<<10 {
			t.Skip("long enough")
		}
		difference(t, side{client, deflate}, data)
	})
}

// seeds are streams with what is to be said of their stories.
var seeds = []struct {
	side side
	data string
	want string
}{
	{side{}, "", ""},
	{side{}, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\x00\x00\x00\x00", ""}, // RFC 6455 5.7
	{side{client: true}, "\x81\x05Hello\x88\x00", ""},
	{side{client: true}, "\x01\x03Hel\x89\x01!\x80\x02lo\x82\x00\x88\x06\x03\xe8done", ""},
	{side{client: true}, "\x82\x7e\x01\x00" + strings.Repeat("x", 256) + "\x82\x7e", ""},
	{side{client: true}, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + strings.Repeat("x", 3000), ""},
	{side{client: true}, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", ""}, // masked
	{side{}, "\x81\x05Hello", ""}, // not masked
	{side{client: true}, "\xc1\x05Hello", ""},
	{side{client: true}, "\x83\x00", ""},
	{side{client: true}, "\x09\x00", ""},
	{side{client: true}, "\x80\x00", ""},
	{side{client: true}, "\x01\x00\x01\x00", ""},
	{side{client: true}, "\x89\x7e\x00\x80", ""},
	{side{client: true}, "\x88\x02\x03\xed", ""}, // 1005
	{side{client: true}, "\x88\x02\x0b\xb8", ""}, // 3000
	{side{client: true}, "\x88\x04\x03\xe8\xff\xff", ""},
	{side{client: true}, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", ""},
	{side{client: true}, "\x81\x01\xff\x81\x01a", "UTF-8"},
	{side{client: true}, "\x01\x02\xed\xa0", "UTF-8"},
	{side{client: true}, "\x82\x7e\x00\x01x", "length in too many bytes"},
	{side{client: true}, "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7ex", "length in too many bytes"},
	{side{client: true}, "\x88\x01\x03", "close of one byte"},
	{side{client: true}, "\x88\x02\x03\xf6", "1014"},
	{side{client: true}, "\x83", "header cut short"},
	{side{}, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00", "header cut short"},
	{side{true, true}, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x01a\x88\x00", ""}, // RFC 7692 7.2.3.1
	{side{true, true}, "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", ""},
	{side{true, true}, "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", ""}, // 7.2.3.5
	{side{true, true}, "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", ""},                     // 7.2.3.4
	{side{true, true}, "\xc1\x01\x00", ""},
	{side{true, true}, "\xc9\x00", "RSV1 out of place"},
	{side{true, true}, "\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00", "RSV1 out of place"},
	{side{true, true}, "\xc1\x01\xff", ""},
	{side{true, true}, "\x41\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "inflating"}, // a final block in an unfinished message
}

func TestDifferential(t *testing.T) {
	for _, s := range seeds {
		if got := difference(t, s.side, []byte(s.data)); got != s.want {
			t.Errorf("%+v of %x: %q, want %q", s.side, s.data, got, s.want)
		}
		for cut := range s.data {
			difference(t, s.side, []byte(s.data[:cut]))
		}
	}
}

// memory is a connection whose peer has said all it will ever say.
type memory struct {
	in  io.Reader
	out func(p []byte)
}

func (m *memory) Read(p []byte) (int, error) { return m.in.Read(p) }

func (m *memory) Write(p []byte) (int, error) {
	if m.out != nil {
		m.out(p)
	}
	return len(p), nil
}

func (*memory) Close() error                     { return nil }
func (*memory) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (*memory) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (*memory) SetDeadline(time.Time) error      { return nil }
func (*memory) SetReadDeadline(time.Time) error  { return nil }
func (*memory) SetWriteDeadline(time.Time) error { return nil }

// request is the opening handshake of a client.
func request(s side) *http.Request {
	r, _ := http.NewRequest("GET", "http://peer/", nil)
	r.Header = http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	if s.deflate {
		r.Header.Set("Sec-Websocket-Extensions", extension)
	}
	return r
}

// hijacked is a ResponseWriter that gives its connection away.
type hijacked struct{ conn net.Conn }

func (*hijacked) Header() http.Header         { return http.Header{} }
func (*hijacked) Write(p []byte) (int, error) { return len(p), nil }
func (*hijacked) WriteHeader(int)             {}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// answering is a connection to a server that answers the opening handshake and then says data.
func answering(s side, data []byte) net.Conn {
	m := &memory{}
	var sent []byte
	m.out = func(p []byte) {
		sent = append(sent, p...)
		if m.in != nil || !bytes.HasSuffix(sent, []byte("\r\n\r\n")) {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
		if err != nil {
			m.in = strings.NewReader("")
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			fmt.Sprintf("Sec-WebSocket-Accept: %s\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		if s.deflate {
			answer += "Sec-WebSocket-Extensions: " + extension + "\r\n"
		}
		m.in = io.MultiReader(strings.NewReader(answer+"\r\n"), bytes.NewReader(data))
	}
	return m
}
