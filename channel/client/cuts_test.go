package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/testkit"
)

// cutDial dials connections that are cut after a while, or so many bytes.
func cutDial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k := &cutConn{Conn: c, left: 200 << rand.IntN(8)}
	k.timer = time.AfterFunc(time.Millisecond+rand.N(200*time.Millisecond), k.cut)
	return k, nil
}

type cutConn struct {
	net.Conn
	mu    sync.Mutex
	left  int
	timer *time.Timer
}

func (c *cutConn) cut() {
	if rand.IntN(2) == 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(0) // RST
	}
	_ = c.Conn.Close()
}

var errCut = errors.New("cut")

func (c *cutConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	left := c.left
	c.mu.Unlock()
	if left <= 0 {
		c.cut()
		return 0, errCut
	}
	n, err := c.Conn.Read(p[:min(len(p), left)])
	c.mu.Lock()
	c.left -= n
	c.mu.Unlock()
	return n, err
}

func (c *cutConn) Close() error {
	c.timer.Stop()
	return c.Conn.Close()
}

// Both who publishes and who reads is cut all the time: everything is published once, and read once, in order.
func TestCuts(t *testing.T) {
	const messages = 150
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			_, url := start(t, nil)
			o := over(transport)
			o.DialContext, o.Timeout = cutDial, 10*time.Second
			reader, writer := dial(t, url, o), dial(t, url, o)
			done := make(chan struct{})
			next := 0
			wrong := func(format string, args ...any) { t.Errorf(format, args...) }
			subscribe(t, reader, "a", func(m *channel.Message) {
				if string(m.Data) != fmt.Sprint(next) || m.Offset != uint64(next+1) {
					wrong("%s at %d, not %d", m.Data, m.Offset, next)
				}
				if next++; next == messages {
					close(done)
				}
			}, &client.SubscribeOptions{After: "oldest", OnGap: func(a, b channel.Position) { wrong("a gap from %v to %v", a, b) }})
			for i := range messages {
				at, err := writer.Publish(soon(t), "a", channel.Message{Data: fmt.Append(nil, i)})
				if err != nil || at.Offset != uint64(i+1) {
					t.Fatalf("message %d: %v, %v", i, at, err)
				}
			}
			testkit.Within(t, "the last message", done)
		})
	}
}
