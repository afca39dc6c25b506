package socketio_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"baro.dev/socketio"
)

// masked is a text frame of a client, with a key of zeroes.
func masked(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// An event with an acknowledgement over loopback, 32 in flight: what both sides take.
func BenchmarkAck(b *testing.B) {
	for _, inline := range []bool{false, true} {
		name := "default"
		if inline {
			name = "inline"
		}
		b.Run(name, func(b *testing.B) {
			o := &socketio.Options{}
			o.Engine.Inline = inline
			server, url := start(b, o)
			server.On("raw", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
			socketio.On(server, "typed", func(_ context.Context, s string) (string, error) { return s, nil })
			for _, event := range []string{"raw", "typed"} {
				b.Run(event, func(b *testing.B) {
					c := rawClient(b, strings.TrimPrefix(url, "http://"))
					defer c.Close()
					const flight = 32
					batch := []byte(strings.Repeat(string(masked(`421["`+event+`","0123456789abcdef"]`)), flight))
					answers := make([]byte, flight*(2+len(`431["0123456789abcdef"]`)))
					r := bufio.NewReaderSize(c, 4096)
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if i%flight != 0 {
							continue
						}
						if _, err := c.Write(batch); err != nil {
							b.Fatal(err)
						}
						if _, err := io.ReadFull(r, answers); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

func BenchmarkBroadcast(b *testing.B) {
	for _, recovery := range []bool{false, true} {
		name := "plain"
		o := &socketio.Options{}
		if recovery {
			name, o = "recovery", recovering()
		}
		b.Run(name, func(b *testing.B) {
			const clients = 200
			server, url := start(b, o)
			server.OnConnection(func(s *socketio.Socket) { s.Join("room") })
			for range clients {
				c := rawClient(b, strings.TrimPrefix(url, "http://"))
				defer c.Close()
				go discard(c)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := server.To("room").Emit("news", "0123456789abcdef"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients), "ns/delivery")
		})
	}
}

func discard(c net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		if _, err := c.Read(buffer); err != nil {
			return
		}
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	server, url := start(b, nil)
	sockets := make(chan *socketio.Socket, 1)
	server.OnConnection(func(s *socketio.Socket) { sockets <- s })
	defer rawClient(b, strings.TrimPrefix(url, "http://")).Close()
	s := <-sockets
	b.ReportAllocs()
	for b.Loop() {
		s.Join("room")
		s.Leave("room")
	}
}

// What an event with an acknowledgement costs on the heap: its bytes, the event, the slice of its arguments and the argument.
func TestAckAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets on purpose")
	}
	for _, inline := range []bool{false, true} {
		o := &socketio.Options{}
		o.Engine.Inline = inline
		server, url := start(t, o)
		server.On("raw", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
		c := rawClient(t, strings.TrimPrefix(url, "http://"))
		defer c.Close()
		question := masked(`421["raw","0123456789abcdef"]`)
		answer := make([]byte, 2+len(`431["0123456789abcdef"]`))
		ask := func() {
			if _, err := c.Write(question); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, answer); err != nil {
				t.Fatal(err)
			}
		}
		const times = 1000
		var before, after runtime.MemStats
		ask()
		runtime.ReadMemStats(&before)
		n := testing.AllocsPerRun(times, ask)
		runtime.ReadMemStats(&after)
		if bytes := (after.TotalAlloc - before.TotalAlloc) / (times + 1); n > 4 || bytes > 224 {
			t.Errorf("inline %v: %v allocations, %d bytes; want 4, and 200 or little more", inline, n, bytes)
		}
	}
}
