package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baro.dev/ws"
)

// vanish has a connection receive nothing more, not even what its kernel would answer: for the other end, whoever was there
// has lost the network.
func vanish(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// A client that vanishes without a word has left after a heartbeat, and the time it has for an answer to that.
func TestVanishedClientsLeave(t *testing.T) {
	const heartbeat, timeout = time.Second, 2 * time.Second
	s := start(t, Config{Heartbeat: heartbeat, WriteTimeout: timeout})
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	requests := map[string]string{
		"SSE":                  "Accept: text/event-stream\r\n",
		"NDJSON":               "Accept: application/x-ndjson\r\n",
		"WebSocket":            upgrade,
		"WebSocket, envelopes": upgrade + "Sec-WebSocket-Protocol: baro.v1.json\r\n",
	}
	connections := map[string]net.Conn{}
	for name, header := range requests {
		c, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /c/a HTTP/1.1\r\nHost: x\r\n"+header+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line[9:12] != "200" && line[9:12] != "101" {
			t.Fatalf("%s: %q, %v", name, line, err)
		}
		connections[name] = c
	}
	for name, first := range map[string][]string{
		"/ws":                                   {`{"id":1,"subscribe":{"channel":"a"}}`},
		"/socket.io/?EIO=4&transport=websocket": {"40", `420["subscribe","a"]`},
	} {
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			connections[name] = c
			return c, err
		}
		c, _, err := ws.Dial(t.Context(), s.url(name), &ws.DialOptions{DialContext: dial})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for _, text := range first {
			if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
				t.Fatal(err)
			}
			for answer := ""; text == "40" && !strings.HasPrefix(answer, text); { // no event before that
				answer = string(readSocket(t, c).Data)
			}
		}
	}
	there := func() int {
		p, err := s.Hub().Presence("a", 0)
		if err != nil {
			t.Fatal(err)
		}
		return p.Clients
	}
	eventually(t, "all are there", func() bool { return there() == len(connections) })
	vanished := time.Now()
	for _, c := range connections {
		vanish(t, c)
	}
	eventually(t, "all have left", func() bool { return there() == 0 })
	if took := time.Since(vanished); took < timeout {
		t.Errorf("the last of them left after %v", took)
	} else {
		t.Logf("the last of them left after %v", took)
	}
	if clients, _ := s.registry.Len(); clients != 0 {
		t.Errorf("%d clients are left", clients)
	}
}
