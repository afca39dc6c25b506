//go:build linux

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/testkit/brokers"
)

// BenchmarkBroker is what a server of NATS takes for what natsadapter asks of it: a subscription with a word of 22 characters for the
// room, and a message of 128 bytes that goes to one subscriber.
func BenchmarkBroker(b *testing.B) {
	const subscriptions, messages = 200_000, 500_000
	for b.Loop() {
		n := brokers.NATS(b)
		s := &served{pid: n.Pid()}
		connect := func() *nats.Conn {
			c, err := nats.Connect("nats://" + n.Addr)
			if err != nil {
				b.Fatal(err)
			}
			return c
		}
		hears, says := connect(), connect()
		before := s.settled(b)
		for i := range subscriptions {
			if _, err := hears.Subscribe(fmt.Sprintf("socketio.nsp.0123456789012345678901.room.%022d", i), func(*nats.Msg) {}); err != nil {
				b.Fatal(err)
			}
		}
		if err := hears.FlushTimeout(time.Minute); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(s.settled(b)-before)/subscriptions, "B/subscription")
		cpu, data := s.cpu(b), make([]byte, 128)
		for i := range messages {
			if err := says.Publish(fmt.Sprintf("socketio.nsp.0123456789012345678901.room.%022d", i%1000), data); err != nil {
				b.Fatal(err)
			}
		}
		if says.FlushTimeout(time.Minute) != nil || hears.FlushTimeout(time.Minute) != nil {
			b.Fatal("it does not answer")
		}
		b.ReportMetric(float64(s.cpu(b)-cpu)/messages/1e3, "CPU-µs/message")
		hears.Close()
		says.Close()
	}
}
