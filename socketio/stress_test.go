package socketio_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/ws"
)

// Everything at once, for the race detector: clients come and go while all sorts of things are done to them.
func TestStress(t *testing.T) {
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) {
			o := recovering()
			o.Engine.Inline = inline
			io, url := start(t, o)
			io.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
			io.OnConnection(func(s *socketio.Socket) {
				s.Join(fmt.Sprint(rand.IntN(3)))
				s.OnDisconnect(func(socketio.Reason) { _ = s.Broadcast().Emit("left") })
				s.OnAnyOutgoing(func(e *socketio.Event) {
					if e.Name() == "left" {
						_ = s.Volatile().Emit("saw")
					}
				})
			})
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			var wg sync.WaitGroup
			for range 4 { // clients
				wg.Go(func() {
					for ctx.Err() == nil {
						p := dial(t, url)
						p.send("0")
						pid := ""
						for range 5 { // it may be disconnected at any time
							m, err := p.read()
							if err != nil || p.c.Write(ctx, ws.Text, []byte(`421["echo",1]`)) != nil {
								break
							}
							if a := connectAnswer.FindStringSubmatch(m); a != nil {
								pid = a[2]
							}
						}
						p.close()
						q := dial(t, url)
						q.send(fmt.Sprintf(`0{"pid":%q}`, pid))
						_, _ = q.read()
						q.close()
					}
				})
			}
			for range 2 { // and what is done to them
				wg.Go(func() {
					for ctx.Err() == nil {
						room := fmt.Sprint(rand.IntN(3))
						_ = io.To(room).Except("2").Emit("news", []byte(room))
						io.In(room).SocketsJoin("x", "y")
						io.In("x").SocketsLeave(room)
						_, _ = io.In("y").FetchSockets(ctx)
						_, _ = io.In(room).Timeout(time.Millisecond).EmitWithAck(ctx, "q")
						if all := io.Sockets(); len(all) > 0 {
							s := all[rand.IntN(len(all))]
							_ = s.EmitFunc("f", func(socketio.Args, error) {})
							_, _ = s.Timeout(time.Millisecond).EmitWithAck(ctx, "q")
							_, _ = s.Rooms(), s.Context().Err()
							if rand.IntN(20) == 0 {
								s.Disconnect(rand.IntN(2) == 0)
							}
						}
					}
				})
			}
			wg.Wait()
			eventually(t, "all are gone", func() bool { return io.Len() == 0 })
			if left := io.Adapter().(*socketio.MemoryAdapter).Rooms(); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// The server is closed while it gets to know clients, which have been answered already.
func TestCloseAsClientsCome(t *testing.T) {
	for range 20 {
		io := socketio.NewServer(nil)
		server := httptest.NewServer(io)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { dial(t, server.URL) })
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := io.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		server.Close()
	}
}
