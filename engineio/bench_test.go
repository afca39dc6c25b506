package engineio_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// An idle session over WebSocket costs so many bytes of the heap, the WebSocket included.
func TestIdleSession(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory counts, too")
	}
	const sessions, bound = 2000, 2000
	e := calm()
	s := openBeside(t, e)
	s.idle(10) // what is there once for all
	before := heap()
	var clients []*os.File
	for range sessions {
		c, err := s.dialIdle()
		if err != nil {
			t.Fatal(err)
		}
		f, err := descriptor(c)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		clients = append(clients, f)
	}
	all := heap() - before
	runtime.KeepAlive(clients)
	each := all / sessions
	t.Logf("an idle session takes %d bytes of the heap", each)
	if each > bound {
		t.Errorf("%d bytes for an idle session, want %d at most", each, bound)
	}
}

func (s *site) dialIdle() (*net.TCPConn, error) {
	return dialRaw(s.http.Listener.Addr().(*net.TCPAddr),
		"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"+handshake+"\r\n", `"maxPayload":1000000}`)
}

// idle opens sessions over WebSocket whose clients do nothing.
func (s *site) idle(n int) []*net.TCPConn {
	s.t.Helper()
	all := make([]*net.TCPConn, n)
	for i := range all {
		c, err := s.dialIdle()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { c.Close() })
		all[i] = c
	}
	return all
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func BenchmarkEchoWebSocket(b *testing.B) {
	for _, inline := range []bool{false, true} {
		b.Run(fmt.Sprintf("Inline %v", inline), func(b *testing.B) {
			e := calm()
			e.Options.Inline = inline
			s := openBeside(b, e)
			c, _ := s.connect(4)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Write(ctx, ws.Text, []byte("4hello")); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Conn.Read(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEchoPolling is a POST and a GET each time, the client's part written by hand.
func BenchmarkEchoPolling(b *testing.B) {
	s := openBeside(b, calm())
	sid := s.poll(4)
	c, r := s.raw("")
	post := []byte("POST " + s.query(4, sid) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n4hello")
	get := []byte("GET " + s.query(4, sid) + " HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = c.SetDeadline(noDeadline)
	b.ReportAllocs()
	for b.Loop() {
		for _, request := range [][]byte{post, get} {
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
			if err := skipAnswer(r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func skipAnswer(r *bufio.Reader) error {
	size := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if strings.HasPrefix(string(line), "Content-Length: ") {
			fmt.Sscan(string(line[16:]), &size)
		}
	}
	if size < 0 {
		return io.ErrUnexpectedEOF
	}
	_, err := io.CopyN(io.Discard, r, int64(size))
	return err
}

func BenchmarkBroadcast(b *testing.B) {
	const sessions = 1000
	var mu sync.Mutex
	var to []*engineio.Session
	e := calm()
	e.OnOpen = func(s *engineio.Session, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		to = append(to, s)
	}
	s := openBeside(b, e)
	clients := s.idle(sessions)
	var got atomic.Int64
	message := []byte(strings.Repeat("x", 100))
	for _, c := range clients {
		go func() {
			r := bufio.NewReader(c)
			for {
				if n, err := r.Discard(2 + 1 + len(message)); err != nil || n == 0 {
					return
				}
				got.Add(1)
			}
		}()
	}
	until(b, "all are there", func() bool { mu.Lock(); defer mu.Unlock(); return len(to) == sessions })
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		e.Broadcast(to, engineio.NewPrepared(engineio.Message{Data: message}), false)
		for n += sessions; got.Load() < n; {
			runtime.Gosched()
		}
	}
}
