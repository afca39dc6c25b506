package bench

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"baro.dev/ws"
)

// pair connects the two libraries: s is our side.
func pair(t *testing.T, s side, takeover bool, level int) (*ws.Conn, *gorilla.Conn) {
	t.Helper()
	near, far := net.Pipe()
	limits := ws.Limits{MaxMessageSize: -1, MaxFragments: -1}
	compression := ws.Compression{Enabled: s.deflate, Level: level, ContextTakeover: takeover, Threshold: -1}
	var c *ws.Conn
	var g *gorilla.Conn
	var wg sync.WaitGroup
	if s.client {
		wg.Go(func() {
			u := gorilla.Upgrader{EnableCompression: s.deflate, WriteBufferSize: 200}
			r, err := readRequest(far)
			if err == nil {
				g, err = u.Upgrade(&hijacked{conn: far}, r, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
		var err error
		c, _, err = ws.Dial(context.Background(), "ws://peer/", &ws.DialOptions{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
			Proxy:       func(*url.URL) (*url.URL, error) { return nil, nil },
			Compression: compression, Limits: limits,
		})
		if err != nil {
			t.Error(err)
		}
	} else {
		wg.Go(func() {
			d := gorilla.Dialer{
				NetDialContext:    func(context.Context, string, string) (net.Conn, error) { return far, nil },
				EnableCompression: s.deflate,
				WriteBufferSize:   200,
			}
			var err error
			if g, _, err = d.Dial("ws://peer/", nil); err != nil {
				t.Error(err)
			}
		})
		r, err := readRequest(near)
		if err == nil {
			c, err = ws.Accept(&hijacked{conn: near}, r, &ws.AcceptOptions{Compression: compression, Limits: limits})
		}
		if err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if c.Compressed() != s.deflate {
		t.Fatal("not negotiated")
	}
	if err := g.SetCompressionLevel(level); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseNow()
		g.Close()
	})
	return c, g
}

// A task is a message to be sent, and how.
type task struct {
	message
	how byte
}

// tasks makes messages of arbitrary bytes: two for the length, one for the kind, and the rest for what is in them.
func tasks(script []byte) []task {
	const alphabet = "abc \n\x00\x7fé메🙂"
	var list []task
	for i := 0; i+3 <= len(script) && len(list) < 20; i += 3 {
		size := int(script[i])<<8&0x7F00 | int(script[i+1])
		if script[i]&0x80 == 0 {
			size &= 0xFF // most are short
		}
		m := message{typ: gorilla.BinaryMessage}
		if script[i+2]&1 == 0 {
			m.typ = gorilla.TextMessage
		}
		var b strings.Builder
		for _, char := range strings.Repeat(alphabet, size/10+1) {
			if b.Len() >= size {
				break
			}
			b.WriteRune(char ^ rune(script[(i+b.Len())%len(script)]&3))
		}
		m.data = b.String()
		list = append(list, task{m, script[i+2] >> 1})
	}
	return list
}

// send sends what t says through our side.
func (t task) send(c *ws.Conn) error {
	ctx := context.Background()
	typ := ws.MessageType(t.typ)
	switch t.how % 4 {
	case 0:
		p, err := ws.NewPreparedMessage(typ, []byte(t.data))
		if err != nil {
			return err
		}
		return c.WritePrepared(ctx, p)
	case 1:
		w, err := c.Writer(ctx, typ)
		if err != nil {
			return err
		}
		half := len(t.data) * int(t.how) / 128
		io.WriteString(w, t.data[:half])
		io.WriteString(w, t.data[half:])
		return w.Close()
	case 2:
		if _, err := c.Ping(ctx); err != nil {
			return err
		}
	}
	return c.Write(ctx, typ, []byte(t.data))
}

// sendGorilla sends what t says through the other side.
func (t task) sendGorilla(g *gorilla.Conn) error {
	g.EnableWriteCompression(t.how&1 == 0)
	switch t.how >> 1 % 3 {
	case 0: // in fragments, for all that does not fit its buffer
		w, err := g.NextWriter(t.typ)
		if err != nil {
			return err
		}
		half := len(t.data) * int(t.how) / 128
		io.WriteString(w, t.data[:half])
		io.WriteString(w, t.data[half:])
		return w.Close()
	case 1:
		if err := g.WriteMessage(gorilla.PingMessage, []byte("between")); err != nil {
			return err
		}
	}
	return g.WriteMessage(t.typ, []byte(t.data))
}

// exchange sends the tasks of a script both ways and closes.
func exchange(t *testing.T, s side, takeover bool, level int, script []byte) {
	t.Helper()
	list := tasks(script)
	c, g := pair(t, s, takeover, level)
	var wg sync.WaitGroup
	wg.Go(func() { // theirs reads
		defer g.Close() // it answers a close, and leaves the stream open
		for i := 0; ; i++ {
			typ, p, err := g.ReadMessage()
			switch {
			case i == len(list):
				if !gorilla.IsCloseError(err, 4000) {
					t.Errorf("the end: %v", err)
				}
				return
			case err != nil || (message{typ, string(p)}) != list[i].message:
				t.Errorf("%+v, takeover %v, level %d: message %d of ours, %v of %d bytes, read as %.60q of %d, %v",
					s, takeover, level, i, list[i].typ, len(list[i].data), p, len(p), err)
				return
			}
		}
	})
	wg.Go(func() { // theirs writes
		for _, task := range list {
			if err := task.sendGorilla(g); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var sending sync.WaitGroup
	sending.Go(func() {
		for _, task := range list {
			if err := task.send(c); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i, task := range list {
		m, err := c.Read(context.Background())
		if err != nil || (message{int(m.Type), m.String()}) != task.message {
			t.Errorf("%+v, level %d: message %d of theirs, %d of %d bytes, read as %v %.60q of %d, %v",
				s, level, i, task.typ, len(task.data), m.Type, m.Data, len(m.Data), err)
			g.Close()
			break
		}
	}
	sending.Wait()
	if err := c.Close(context.Background(), 4000, "done"); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// readRequest reads the request of an opening handshake.
func readRequest(nc net.Conn) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(nc))
}

var scripts = [][]byte{
	nil,
	[]byte("\x00\x00\x00"),
	[]byte("\x00\x7d\x00\x00\x7e\x01\x00\x7f\x02\x01\xff\x05"),
	[]byte("\x80\x10\x40\xa0\x00\x43\x00\x05\x06\xff\xff\x83\x00\x20\x08\x84\x00\x79"),
	[]byte("every word of this is a message or so"),
}

func TestExchange(t *testing.T) {
	for _, script := range scripts {
		for level := 1; level <= 9; level += 4 {
			for _, s := range []side{{}, {client: true}, {deflate: true}, {true, true}} {
				exchange(t, s, false, level, script)
				exchange(t, s, true, level, script)
			}
		}
	}
}

// FuzzExchange sends arbitrary sequences of messages both ways between the two libraries.
func FuzzExchange(f *testing.F) {
	for _, script := range scripts {
		f.Add(true, false, false, byte(1), script)
		f.Add(false, true, false, byte(2), script)
		f.Add(true, true, true, byte(9), script)
	}
	f.Fuzz(func(t *testing.T, client, deflate, takeover bool, level byte, script []byte) {
		exchange(t, side{client, deflate}, takeover, int(level%9)+1, script)
	})
}
