package server

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
)

// Clients that come and go in every way there is leave nothing behind: no slot, client, subscription or descriptor.
func TestStreamsOfRudeClients(t *testing.T) {
	s := start(t, Config{QueueBytes: 100_000, WriteTimeout: time.Second, Heartbeat: 5 * time.Millisecond, Channels: channel.Options{HistoryBytes: 1 << 20}})
	publishText(t, s, "a", "before")
	before := descriptors(t)
	stop := make(chan struct{})
	var publishers, rude sync.WaitGroup
	publishers.Go(func() {
		filler := strings.Repeat("x", 5000)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				publishText(t, s, "a", fmt.Sprint(i, filler))
				if i%50 == 0 {
					for _, c := range s.registry.All() {
						if rand.N(10) == 0 {
							c.Gone("twice") // and then again, by the stream
						}
					}
				}
			}
		}
	})
	for range 15 {
		rude.Go(func() {
			for range 20 {
				c := dialHere(s)
				if c == nil {
					return
				}
				beRude(c)
			}
		})
	}
	rude.Wait()
	close(stop)
	publishers.Wait()
	eventually(t, "all are forgotten", func() bool {
		clients, _ := s.registry.Len()
		info, err := s.hub.Info("a")
		return s.used() == 0 && s.streams.len() == 0 && clients == 0 && err == nil && info.Subscribers == 0
	})
	eventually(t, "the descriptors are closed", func() bool { return descriptors(t) <= before+4 && s.connections.open.Load() <= 2 })
}

func dialHere(s *Server) *net.TCPConn {
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		return nil
	}
	return c.(*net.TCPConn)
}

func beRude(c *net.TCPConn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	accept := [...]string{typeSSE, typeNDJSON}[rand.N(2)]
	after := [...]string{"", "?after=oldest"}[rand.N(2)]
	fmt.Fprintf(c, "GET /c/a%s HTTP/1.1\r\nHost: x\r\nAccept: %s\r\n\r\n", after, accept)
	switch rand.N(6) {
	case 0: // leaves at once, with a reset
		_ = c.SetLinger(0)
	case 1:
		_, _ = io.CopyN(io.Discard, c, rand.N(int64(100_000)))
	case 2: // ends its half
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	case 3: // has more to say
		for range 20 {
			fmt.Fprint(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		_, _ = io.CopyN(io.Discard, c, 50_000)
		_ = c.SetLinger(0)
	case 4: // takes nothing until it is cut
		time.Sleep(rand.N(100 * time.Millisecond))
	case 5:
		_ = c.CloseRead()
		_, _ = io.CopyN(io.Discard, c, 1)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
