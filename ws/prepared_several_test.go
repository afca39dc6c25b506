package ws_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
)

// Several messages that were prepared as one come with nothing between them, whoever sends besides, in whatever way.
func TestPreparedMessages(t *testing.T) {
	for _, test := range []struct {
		name string
		c    ws.Compression
	}{
		{"plain", ws.Compression{}},
		{"compressed", ws.Compression{Enabled: true}},
		{"with context takeover", ws.Compression{Enabled: true, ContextTakeover: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			const each = 200
			long := []byte(strings.Repeat("long ", 15<<10))
			opened := make(chan *ws.Socket, 1)
			s := &ws.Server{
				Options:   ws.AcceptOptions{Compression: test.c, Queue: ws.Queue{MaxBytes: 64 << 20}},
				OnMessage: func(c *ws.Socket, _ ws.Message) { opened <- c },
			}
			h := httptest.NewServer(s)
			defer h.Close()
			defer s.Close()
			c, _, err := ws.Dial(context.Background(), "ws"+strings.TrimPrefix(h.URL, "http"), &ws.DialOptions{Compression: test.c, Limits: ws.Limits{MaxMessageSize: 1 << 20}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			c.Write(context.Background(), ws.Text, []byte("here"))
			socket := <-opened
			var group sync.WaitGroup
			for sender := range 3 {
				group.Go(func() {
					for i := range each {
						m, err := ws.NewPreparedMessages(
							ws.Message{Type: ws.Text, Data: fmt.Appendf(nil, "%d %d", sender, i)}, ws.Message{Type: ws.Binary, Data: long})
						switch {
						case err != nil:
							t.Error(err)
						case sender == 0:
							s.Multicast([]*ws.Socket{socket}, m)
						case sender == 1:
							socket.SendPrepared(m)
						default:
							socket.Send(ws.Text, fmt.Appendf(nil, "%d %d", sender, i))
						}
					}
				})
			}
			defer group.Wait()
			next := [3]int{}
			for left := 3 * each; left > 0; left-- {
				m, err := c.Read(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				var sender, i int
				if n, _ := fmt.Sscanf(string(m.Data), "%d %d", &sender, &i); n != 2 || next[sender] != i {
					t.Fatalf("%.20q came, want one of %v", m.Data, next)
				}
				next[sender]++
				if sender == 2 {
					continue
				}
				if m, err := c.Read(context.Background()); err != nil || m.Type != ws.Binary || !bytes.Equal(m.Data, long) {
					t.Fatalf("%v of %d bytes, %v follows, want the second message", m.Type, len(m.Data), err)
				}
			}
		})
	}
}

// A client masks each of several messages.
func TestClientSendsPreparedMessages(t *testing.T) {
	got := make(chan string, 3)
	s := &ws.Server{OnMessage: func(_ *ws.Socket, m ws.Message) { got <- string(m.Data) }}
	h := httptest.NewServer(s)
	defer h.Close()
	defer s.Close()
	c, _, err := ws.Dial(context.Background(), "ws"+strings.TrimPrefix(h.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	m, err := ws.NewPreparedMessages(ws.Message{Type: ws.Text, Data: []byte("one")}, ws.Message{Type: ws.Binary, Data: []byte("two")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WritePrepared(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	if a, b := <-got, <-got; a != "one" || b != "two" || string(m.Message().Data) != "one" {
		t.Errorf("%q, %q came", a, b)
	}
	if _, err := ws.NewPreparedMessages(ws.Message{Type: ws.Text, Data: []byte("one")}, ws.Message{Type: ws.Text, Data: []byte{0xff}}); err == nil {
		t.Error("text that is none was taken")
	}
}
