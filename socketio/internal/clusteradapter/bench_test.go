package clusteradapter_test

import (
	"context"
	"fmt"
	"testing"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/clusteradapter"
	"baro.dev/socketio/parser"
)

// A broadcast to a room: one of this server, and ones that come from another. An operation is one delivery.
func BenchmarkDelivery(b *testing.B) {
	for _, clients := range []int{1, 10, 100} {
		n := &node{wire: &wire{}}
		server := socketio.NewServer(&socketio.Options{Adapter: func(nsp *socketio.Namespace) socketio.Adapter {
			n.Adapter = clusteradapter.New(nsp, n, clusteradapter.Options{})
			return n
		}})
		for range clients {
			p := dial(b, server)
			go func() {
				for {
					if _, err := p.c.Read(context.Background()); err != nil {
						return
					}
				}
			}()
		}
		until(b, func() bool { return len(server.Sockets()) == clients })
		server.SocketsJoin("room")
		options := &socketio.BroadcastOptions{Rooms: []string{"room"}}
		event := parser.EventData("news", "0123456789abcdef", map[string]any{"n": 1, "list": []int{1, 2, 3}})
		p := &parser.Packet{Type: parser.Event, Namespace: "/", Data: event}
		m := clusteradapter.Message{UID: "other", Namespace: "/", Type: clusteradapter.Broadcast, Packet: p, Options: options}
		text, err := m.Encode()
		if err != nil {
			b.Fatal(err)
		}
		packed, err := m.EncodeMsgpack()
		if err != nil {
			b.Fatal(err)
		}
		elsewhere := m
		elsewhere.Options = &socketio.BroadcastOptions{Rooms: []string{"elsewhere"}}
		other, err := elsewhere.Encode()
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, f func()) {
			b.Run(fmt.Sprint(name, "/", clients), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i%clients == 0 {
						f()
					}
				}
			})
		}
		run("local", func() {
			_ = server.Local().To("room").Emit("news", "0123456789abcdef", map[string]any{"n": 1, "list": []int{1, 2, 3}})
		})
		run("json", func() { n.Receive(text) })
		run("msgpack", func() { n.Receive(packed) })
		if clients == 1 {
			run("elsewhere", func() { n.Receive(other) })
		}
		if err := server.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
