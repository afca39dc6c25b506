package natsbus_test

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/cluster/natsbus"
	"baro.dev/internal/testkit/brokers/embedded"
)

// A cutter dials connections that end, once, when something is sent.
type cutter struct {
	at    []byte
	armed atomic.Bool
}

func (c *cutter) Dial(network, address string) (net.Conn, error) {
	nc, err := net.Dial(network, address)
	return &cut{nc, c}, err
}

type cut struct {
	net.Conn
	by *cutter
}

func (c *cut) Write(p []byte) (int, error) {
	if bytes.Contains(p, c.by.at) && c.by.armed.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// Who asks what is on a shelf is answered, though the server goes that was asked first.
func TestListWhileCut(t *testing.T) {
	c := &cutter{at: []byte("DIRECT.GET")}
	conn, err := nats.Connect(embedded.NATS(t, 1)[0].URL, append(natsbus.ConnectOptions(), nats.SetCustomDialer(c))...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := within(t)
	s, err := natsbus.NewShelf(ctx, conn, natsbus.ShelfOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "shelf", "key", []byte("value"), time.Hour); err != nil {
		t.Fatal(err)
	}
	c.armed.Store(true)
	all, err := s.List(ctx, "shelf")
	if err != nil || len(all) != 1 || string(all["key"]) != "value" {
		t.Errorf("on the shelf is %q, %v", all, err)
	}
	if c.armed.Load() {
		t.Error("the server was not asked")
	}
}
