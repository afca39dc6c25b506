package socketio_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"

	"baro.dev/socketio"
)

// rawClient connects over WebSocket and to the main namespace, and keeps nothing but the connection.
func rawClient(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReaderSize(c, 512)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer, err)
	}
	frame := func() string {
		var head [2]byte
		if _, err := readFull(r, head[:]); err != nil {
			t.Fatal(err)
		}
		n := int(head[1])
		if n == 126 {
			if _, err := readFull(r, head[:]); err != nil {
				t.Fatal(err)
			}
			n = int(head[0])<<8 | int(head[1])
		}
		b := make([]byte, n)
		if _, err := readFull(r, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if f := frame(); f[0] != '0' {
		t.Fatal(f)
	}
	var key [4]byte
	_, _ = rand.Read(key[:])
	connect := []byte{0x81, 0x82, key[0], key[1], key[2], key[3], '4' ^ key[0], '0' ^ key[1]}
	if _, err := c.Write(connect); err != nil {
		t.Fatal(err)
	}
	if f := frame(); !strings.HasPrefix(f, `40{"sid"`) {
		t.Fatal(f)
	}
	return c
}

func readFull(r *bufio.Reader, b []byte) (int, error) {
	for i := range b {
		c, err := r.ReadByte()
		if err != nil {
			return i, err
		}
		b[i] = c
	}
	return len(b), nil
}

func heap() (bytes int64) {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// An idle client costs the server little: no goroutine, no timer, no buffer.
func TestIdleMemory(t *testing.T) {
	const clients = 1000
	io, url := start(t, nil)
	io.On("event", func(*socketio.Event) {})
	addr := strings.TrimPrefix(url, "http://")
	warm := rawClient(t, addr)
	defer warm.Close()
	goroutines, before := runtime.NumGoroutine(), heap()
	var all []net.Conn
	for range clients {
		all = append(all, rawClient(t, addr))
	}
	eventually(t, "no goroutine for each", func() bool { return runtime.NumGoroutine() < goroutines+20 })
	each := (heap() - before) / clients // less if something of other tests has gone meanwhile
	t.Logf("%d bytes for each client, with this side's net.Conn", each)
	if file := os.Getenv("HEAP_PROFILE"); file != "" {
		f, _ := os.Create(file)
		_ = pprof.WriteHeapProfile(f)
		f.Close()
	}
	if each > 4096 && !raceEnabled {
		t.Errorf("%d bytes for each client", each)
	}
	for _, c := range all {
		c.Close()
	}
	eventually(t, "all are gone", func() bool { return io.ClientsCount() <= 1 && io.Len() <= 1 })
}
