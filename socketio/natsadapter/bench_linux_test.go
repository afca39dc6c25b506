package natsadapter_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// reader is a client that reads, and counts the bytes.
func reader(t testing.TB, url string, read *atomic.Int64) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReaderSize(c, 512)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer, err)
	}
	_, _ = c.Write([]byte{0x81, 0x82, 0, 0, 0, 0, '4', '0'})
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			if err != nil {
				return
			}
			read.Add(int64(n))
		}
	}()
}

// cpu is how much time of processors this process has taken.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A broadcast to 1,000 members that has come from another server, beside one of their own: what happens with the message of
// NATS, to the writing to the connections; clients are in the same process.
func BenchmarkReceive(b *testing.B) {
	const members, burst = 1000, 16
	url := "nats://" + brokers.NATS(b).Addr
	from, to := join(b, url, nil), join(b, url, nil)
	from.sees(b, 2)
	var read atomic.Int64
	for range members {
		reader(b, to.url, &read)
	}
	adaptertest.Until(b, "all are there", func() bool { return len(to.Sockets()) == members })
	for _, s := range to.Sockets() {
		s.Join("room")
	}
	to.flush(b)
	tap, err := dial(b, url).SubscribeSync("socketio.nsp.*.room.>")
	if err != nil || to.conn.Flush() != nil {
		b.Fatal(err)
	}
	_ = from.To("room").Emit("news", "0123456789abcdef")
	m, err := tap.NextMsg(adaptertest.Patience)
	if err != nil {
		b.Fatal(err)
	}
	const frame = int64(len(`xx42["news","0123456789abcdef"]`))
	for _, by := range []struct {
		name string
		emit func()
	}{
		{"local", func() {
			for range burst {
				_ = to.Local().To("room").Emit("news", "0123456789abcdef")
			}
		}},
		{"nats", func() {
			for range burst {
				natsadapter.Handle(to.cluster, m.Data)
			}
		}},
	} {
		b.Run(by.name, func(b *testing.B) {
			runtime.GC()
			time.Sleep(50 * time.Millisecond) // for what is still on its way
			start, took := read.Load(), time.Duration(0)
			for i := range b.N {
				before := cpu()
				by.emit()
				for read.Load()-start < int64(i+1)*burst*members*frame { // no faster than clients take it
					time.Sleep(time.Millisecond)
				}
				took += cpu() - before
			}
			b.ReportMetric(float64(took)/float64(b.N*burst*members), "cpu-ns/delivery")
			if n := len(to.Sockets()); n != members {
				b.Fatalf("%d clients are left", n)
			}
		})
	}
}

// What it takes to send an event to others, beside what nats.go takes for the same bytes on the same subject.
func BenchmarkSend(b *testing.B) {
	url := "nats://" + brokers.NATS(b).Addr
	a, other := join(b, url, nil), join(b, url, nil)
	a.sees(b, 2)
	p := other.joined(b, "room")
	tap, err := dial(b, url).SubscribeSync("socketio.nsp.*.room.>")
	if err != nil || a.conn.Flush() != nil {
		b.Fatal(err)
	}
	_ = a.To("room").Emit("news", "0123456789abcdef")
	p.Receive()
	m, err := tap.NextMsg(adaptertest.Patience)
	if err != nil || tap.Unsubscribe() != nil {
		b.Fatal(err)
	}
	p.Close()
	adaptertest.Until(b, "nobody listens", func() bool { return other.cluster.Stats().Rooms == 0 })
	measure := func(b *testing.B, send func()) {
		runtime.GC()
		b.ReportAllocs()
		before := cpu()
		b.ResetTimer()
		for range b.N {
			send()
		}
		a.flush(b)
		_ = a.conn.Flush()
		b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
	}
	b.Run("nats.go", func(b *testing.B) {
		measure(b, func() { _ = a.conn.Publish(m.Subject, m.Data) })
	})
	b.Run("emit", func(b *testing.B) {
		sent := 0
		measure(b, func() {
			_ = a.To("room").Emit("news", "0123456789abcdef")
			if sent++; sent%10_000 == 0 {
				a.flush(b)
			}
		})
		if s := a.cluster.Stats(); s.Unsent > 0 {
			b.Errorf("%+v", s)
		}
	})
}
