package wsjson_test

import (
	"context"
	"io"
	"net"
	"testing"

	"baro.dev/ws"
	"baro.dev/ws/wsjson"
)

// Writing costs what encoding/json does, which for a pointer to a plain struct is nothing.
func TestWriteAllocations(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		peer, err := l.Accept()
		if err == nil {
			io.Copy(io.Discard, peer)
			peer.Close()
		}
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := ws.NewConn(nc, false, "", nil)
	defer c.CloseNow()
	ctx := context.Background()
	v := &point{X: 1, S: "메세지"}
	// The least of many: the race detector has pools forget at random.
	least := 1.0
	for range 100 {
		least = min(least, testing.AllocsPerRun(1, func() {
			if err := wsjson.Write(ctx, c, v); err != nil {
				t.Error(err)
			}
		}))
	}
	if least > 0 {
		t.Errorf("%v allocations a message", least)
	}
}
