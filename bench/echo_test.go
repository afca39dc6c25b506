//go:build linux

package bench

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"baro.dev/bench/internal/peers"
)

// BenchmarkEcho has connections each keep a number of messages in flight. The client is raw TCP and allocates nothing,
// so that allocs/op are the server's; msgs/cpu-s are messages per second of processor time of the whole process, the
// client's part being the same for all. For the servers' own processor time there is cmd/bench.
func BenchmarkEcho(b *testing.B) {
	for _, load := range []struct{ conns, depth, size int }{
		{1, 1, 64}, {100, 1, 64}, {100, 16, 64}, {100, 1, 1024}, {100, 1, 65536},
	} {
		for _, s := range peers.All() {
			if s.Kind == peers.Raw || s.Module == "github.com/lesismal/nbio" { // which cannot be ended
				continue
			}
			b.Run(fmt.Sprintf("C%d/P%d/%dB/%s", load.conns, load.depth, load.size, s.Name), func(b *testing.B) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				go s.Serve(l, peers.Options{Role: peers.Echo, InFlight: load.depth * (load.size + 14)})
				clients := make([]*client, load.conns)
				for i := range clients {
					clients[i] = dial(b, l.Addr().String(), load.size, load.depth)
					defer clients[i].nc.Close()
				}
				rounds := b.N/(load.conns*load.depth) + 1
				b.ReportAllocs()
				b.ResetTimer()
				before := cpuSeconds()
				var wg sync.WaitGroup
				for _, c := range clients {
					wg.Go(func() {
						if err := c.run(rounds); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				cpu := cpuSeconds() - before
				b.StopTimer()
				messages := float64(rounds * load.conns * load.depth)
				b.ReportMetric(messages/cpu/1000, "kmsgs/cpu-s")
			})
		}
	}
}

// client sends the same frames again and again and reads what comes back.
type client struct {
	nc      net.Conn
	out, in []byte
}

func dial(b *testing.B, addr string, size, depth int) *client {
	b.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", addr)
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatal(resp, err)
	}
	payload := []byte(strings.Repeat("x", size))
	header := frameHeader(size)
	masked := slices.Clone(header)
	masked[1] |= 0x80
	key := [4]byte{1, 2, 3, 4}
	masked = append(masked, key[:]...)
	for i := range payload {
		payload[i] ^= key[i&3]
	}
	return &client{
		nc: nc, in: make([]byte, depth*(len(header)+size)),
		out: slices.Repeat(append(masked, payload...), depth),
	}
}

func frameHeader(size int) []byte {
	switch {
	case size < 126:
		return []byte{0x82, byte(size)}
	case size < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(size))
	}
	return binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(size))
}

func (c *client) run(rounds int) error {
	for range rounds {
		if _, err := c.nc.Write(c.out); err != nil {
			return err
		}
		if _, err := io.ReadFull(c.nc, c.in); err != nil {
			return err
		}
	}
	return nil
}

// cpuSeconds is the processor time this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
