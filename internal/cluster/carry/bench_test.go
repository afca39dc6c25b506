//go:build unix

package carry_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/ws"
)

// ways are a session of this node, and one of another, over a bus in memory and over NATS. What NATS and the clients take is
// counted, too: all is in this process.
func ways(b *testing.B, f func(b *testing.B, at *cell, sid string)) {
	memory := func(b *testing.B) []*cell { return cells(b, new(membus.Network), 2, setup{}) }
	nats := func(b *testing.B) []*cell {
		url := embedded.NATS(b, 1)[0].URL
		return cellsOn(b, []cluster.Bus{natsBus(b, url), natsBus(b, url)}, setup{})
	}
	for _, way := range []struct {
		name string
		make func(b *testing.B) []*cell
		at   int
	}{{"local", memory, 0}, {"carried/memory", memory, 1}, {"carried/nats", nats, 1}} {
		b.Run(way.name, func(b *testing.B) {
			all := way.make(b)
			sid := all[0].open(b)
			before := cpu(b)
			f(b, all[way.at], sid)
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPoll posts a message and polls its echo: two requests.
func BenchmarkPoll(b *testing.B) {
	ways(b, func(b *testing.B, at *cell, sid string) {
		for b.Loop() {
			if a := at.do(b.Context(), "POST", sid, "4hello"); a.body != "ok" {
				b.Fatalf("%+v", a)
			}
			if a := at.do(b.Context(), "GET", sid, ""); a.body != "4hello" {
				b.Fatalf("%+v", a)
			}
		}
	})
}

// BenchmarkMessage sends a message over a WebSocket and waits for its echo.
func BenchmarkMessage(b *testing.B) {
	ways(b, func(b *testing.B, at *cell, sid string) {
		c := at.upgrade(b, context.Background(), sid, setup{})
		defer c.CloseNow()
		for b.Loop() {
			if err := c.Write(b.Context(), ws.Text, []byte("4hello")); err != nil {
				b.Fatal(err)
			}
			if _, err := c.Read(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
