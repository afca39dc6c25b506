package client_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"

	"baro.dev/engineio"
	"baro.dev/engineio/client"
	"baro.dev/internal/testkit"
)

// Binary takes a third more over polling: what does not fit is not sent, and the session goes on.
func TestBinaryTooLarge(t *testing.T) {
	testkit.NoLeaks(t)
	server := echo()
	server.Options = engineio.Options{MaxHTTPBufferSize: 1000}
	url := start(t, server)
	o := &client.Options{Transports: []string{client.Polling}}
	h := listen(o)
	s, err := client.Dial(context10(t), url, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(client.Message{Data: make([]byte, 900), Binary: true}); !errors.Is(err, client.ErrTooLarge) {
		t.Errorf("900 bytes, of which a body has more than 1000: %v", err)
	}
	fits := bytes.Repeat([]byte("x"), 747) // 996 characters, and the one before them
	if err := s.Send(client.Message{Data: fits, Binary: true}); err != nil {
		t.Error(err)
	}
	if m := testkit.Within(t, "the echo", h.messages); !bytes.Equal(m.Data, fits) {
		t.Errorf("%d bytes", len(m.Data))
	}
	s.CloseNow()
	<-s.Done()
}

// stuck is a connection that takes nothing once it is told so.
type stuck struct {
	net.Conn
	until chan struct{}
	on    chan struct{}
}

func (c *stuck) Write(p []byte) (int, error) {
	select {
	case <-c.on:
		<-c.until
		return 0, net.ErrClosed
	default:
		return c.Conn.Write(p)
	}
}

// What waits for a WebSocket is counted, too.
func TestBufferedOverWebSocket(t *testing.T) {
	testkit.NoLeaks(t)
	url := start(t, echo())
	c := &stuck{until: make(chan struct{}), on: make(chan struct{})}
	o := &client.Options{Transports: []string{client.WebSocket}, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		c.Conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return c, err
	}}
	s, err := client.Dial(context10(t), url, o)
	if err != nil {
		t.Fatal(err)
	}
	close(c.on)
	sent := make(chan error, 3)
	go func() {
		for range 3 {
			sent <- s.Send(client.Message{Data: make([]byte, 1000)})
		}
	}()
	for range 3 {
		if err := testkit.Within(t, "sending", sent); err != nil {
			t.Error(err)
		}
	}
	if n := s.Buffered(); n < 1000 {
		t.Errorf("%d bytes wait", n)
	}
	close(c.until)
	s.CloseNow()
	<-s.Done()
}
