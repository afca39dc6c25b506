package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"baro.dev/channel"
)

// BenchmarkBroadcast is messages of 100 bytes to a hundred WebSockets, and as many echoes as there are messages, in which each client
// publishes to a channel of its own.
func BenchmarkBroadcast(b *testing.B) {
	const clients = 100
	for _, how := range []string{"broadcast", "echo"} {
		b.Run(how, func(b *testing.B) {
			s, err := New(Config{Dev: true, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Listen(); err != nil {
				b.Fatal(err)
			}
			go s.Serve()
			defer s.Close()
			data := make([]byte, 100)
			frame := append([]byte{0x82, 0x80 | 100, 0, 0, 0, 0}, data...)
			rounds := b.N
			if how == "echo" {
				rounds = b.N/clients + 1
			}
			var reading sync.WaitGroup
			ahead := make(chan struct{}, 64) // of who reads first
			var conns []net.Conn
			for i := range clients {
				name := "a"
				if how == "echo" {
					name = fmt.Sprint(i)
				}
				c, err := net.Dial("tcp", s.listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				fmt.Fprintf(c, "GET /c/%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
					"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", name)
				r := bufio.NewReader(c)
				for line := ""; line != "\r\n"; {
					if line, err = r.ReadString('\n'); err != nil {
						b.Fatal(err)
					}
				}
				conns = append(conns, c)
				first := i == 0
				reading.Go(func() {
					got := make([]byte, 102)
					for range rounds {
						if _, err := io.ReadFull(r, got); err != nil {
							b.Error(err)
							return
						}
						if first && how == "broadcast" {
							<-ahead
						}
						if how == "echo" {
							if _, err := c.Write(frame); err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			if how == "echo" {
				for _, c := range conns {
					if _, err := c.Write(frame); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				for range b.N {
					ahead <- struct{}{}
					if _, err := s.Hub().Publish("a", channel.Message{Data: data, Binary: true}); err != nil {
						b.Fatal(err)
					}
				}
			}
			reading.Wait()
		})
	}
}
