package redisadapter

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// A broadcast that has come through Redis beside a local one, to rooms of so many clients: what the receiving server does from
// the message on. It is to take no more than 1.3 times as long for each delivery.
func BenchmarkReceive(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1}) // nobody
	defer client.Close()
	quiet := slog.New(slog.DiscardHandler)
	for _, members := range []int{1, 10, 100} {
		o := &socketio.Options{Adapter: New(client, &Options{Logger: quiet})}
		o.Engine.Logger = quiet
		server := socketio.NewServer(o)
		joined := make(chan struct{}, members)
		server.OnConnection(func(s *socketio.Socket) { s.Join("room"); joined <- struct{}{} })
		web := httptest.NewServer(server)
		for range members {
			c := benchClient(b, strings.TrimPrefix(web.URL, "http://"))
			defer c.Close()
			go func() { _, _ = io.Copy(io.Discard, c) }()
			<-joined
		}
		a := server.Adapter().(*Adapter)
		for name, args := range map[string][]any{
			"text":   {"0123456789abcdef"},
			"object": {map[string]any{"user": "ada", "text": "hello, world", "at": int64(1_764_000_000_000)}},
		} {
			p := &parser.Packet{Type: parser.Event, Namespace: "/", Data: parser.EventData("news", args...)}
			to := &socketio.BroadcastOptions{Rooms: []string{"room"}}
			message, err := appendBroadcast(nil, "abcdef", p, to)
			if err != nil {
				b.Fatal(err)
			}
			payload := string(message)
			prefix := strconv.Itoa(members) + "/" + name + "/"
			local := func() {
				if err := server.Local().To("room").Emit("news", args...); err != nil {
					b.Fatal(err)
				}
			}
			cluster := func() {
				a.link.dispatch(&redis.Message{Channel: "socket.io#/#room#", Pattern: "socket.io#/#*", Payload: payload})
			}
			b.Run(prefix+"cluster", func(b *testing.B) {
				var took [2]time.Duration // local, and through the cluster; by turns, so that both have the same weather
				const turn = 64
				for b.Loop() {
					for i, f := range []func(){local, cluster} {
						before := cpuTime()
						for range turn {
							f()
						}
						took[i] += cpuTime() - before
					}
				}
				b.ReportMetric(float64(took[0].Nanoseconds())/float64(b.N*turn*members), "local-cpu-ns/delivery")
				b.ReportMetric(float64(took[1].Nanoseconds())/float64(b.N*turn*members), "cpu-ns/delivery")
				b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
			})
			b.Run(prefix+"elsewhere", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					a.link.dispatch(&redis.Message{Channel: "socket.io#/#other#", Pattern: "socket.io#/#*", Payload: payload})
				}
			})
		}
		if n := a.Stats().Ignored; n > 0 {
			b.Fatalf("%d messages ignored", n)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = server.Close(ctx)
		web.Close()
	}
}

func benchClient(b *testing.B, addr string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	connect := append([]byte{0x81, 0x82, 0, 0, 0, 0}, "40"...)
	request := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := c.Write(append([]byte(request), connect...)); err != nil {
		b.Fatal(err)
	}
	return c
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
