package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
)

// Messages of one goroutine arrive in the order they were written, all of them, however they are written and
// whatever others write.
func TestConcurrentWriters(t *testing.T) {
	const each = 12
	long := text(64<<10, 1)
	body := func(id, seq int) string { return long[id : id+10+seq*seq*160] }
	ways := []func(c *ws.Conn, p string) error{
		func(c *ws.Conn, p string) error { return c.Write(context.Background(), ws.Text, []byte(p)) },
		func(c *ws.Conn, p string) error { return c.Send(ws.Text, []byte(p)) },
		func(c *ws.Conn, p string) error {
			m, err := ws.NewPreparedMessage(ws.Text, []byte(p))
			if err != nil {
				return err
			}
			return c.WritePrepared(context.Background(), m)
		},
		func(c *ws.Conn, p string) error {
			w, err := c.Writer(context.Background(), ws.Text)
			if err != nil {
				return err
			}
			io.WriteString(w, p[:len(p)/2])
			io.WriteString(w, p[len(p)/2:])
			return w.Close()
		},
	}
	send := func(wg *sync.WaitGroup, t *testing.T, c *ws.Conn) {
		for id := range 2 * len(ways) {
			wg.Go(func() {
				for seq := range each {
					if err := ways[id%len(ways)](c, fmt.Sprintf("%d %d:%s", id, seq, body(id, seq))); err != nil {
						t.Errorf("writer %d: %v", id, err)
						return
					}
				}
			})
		}
	}
	receive := func(t *testing.T, c *ws.Conn) {
		next := make([]int, 2*len(ways))
		for range len(next) * each {
			m, err := c.Read(t.Context())
			if err != nil {
				t.Error(next, err)
				c.CloseNow()
				return
			}
			var id, seq int
			head, got, _ := strings.Cut(m.String(), ":")
			fmt.Sscan(head, &id, &seq)
			if got != body(id, seq) || seq != next[id] {
				t.Errorf("message %d of writer %d, expecting %d: %.40q", seq, id, next[id], m.Data)
				c.CloseNow()
				return
			}
			next[id]++
		}
	}
	eachLink(t, ws.AcceptOptions{Queue: ws.Queue{Full: ws.Block}}, func(t *testing.T, client, server *ws.Conn) {
		var wg sync.WaitGroup
		for _, ends := range [][2]*ws.Conn{{client, server}, {server, client}} {
			send(&wg, t, ends[0])
			wg.Go(func() { receive(t, ends[1]) })
		}
		wg.Wait()
	})
}

// What cannot be sent is refused, and costs nothing.
func TestRefusedMessages(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		ctx := t.Context()
		bad := []byte("caf\xe9")
		for _, err := range []error{
			client.Write(ctx, ws.Text, bad),
			client.Send(ws.Text, bad),
			client.Write(ctx, 0, nil),
			client.Send(3, nil),
			client.Write(ctx, 8, nil),
		} {
			if err == nil || client.Err() != nil {
				t.Errorf("%v, and the connection: %v", err, client.Err())
			}
		}
		if _, err := ws.NewPreparedMessage(ws.Text, bad); err == nil {
			t.Error("prepared a text message that is not valid UTF-8")
		}
		if _, err := ws.NewPreparedMessage(9, nil); err == nil {
			t.Error("prepared a message of type 9")
		}
		if _, err := client.Writer(ctx, 0); err == nil {
			t.Error("a writer of type 0")
		}
		mustWrite(t, client, "fine")
		mustRead(t, server, "fine")
	})
}

// What was written is the caller's again, even while it waits to leave.
func TestWrittenBytesAreTheCallers(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		for _, size := range []int{10, 5000, 70_000} {
			want := text(size, 9)
			p := []byte(want)
			for range 3 {
				if err := server.Write(t.Context(), ws.Text, p); err != nil {
					t.Fatal(err)
				}
			}
			clear(p)
			for range 3 {
				mustRead(t, client, want)
			}
		}
	})
}

// A peer that does not read is given up by whoever cannot wait for it, not by those who can.
func TestWriteAfterEnd(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		client.CloseNow()
		<-client.Done()
		if _, err := server.Read(t.Context()); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
			t.Fatal(err)
		}
		for _, c := range []*ws.Conn{client, server} {
			m, _ := ws.NewPreparedMessage(ws.Text, nil)
			_, pinged := c.Ping(t.Context())
			_, opened := c.Writer(t.Context(), ws.Text)
			for i, err := range []error{
				c.Write(t.Context(), ws.Text, nil), c.Send(ws.Text, nil), c.WritePrepared(t.Context(), m),
				c.SendPrepared(m), pinged, opened,
			} {
				if err == nil || err != c.Err() {
					t.Errorf("%d: %v, not %v", i, err, c.Err())
				}
			}
		}
		if !errors.Is(client.Err(), net.ErrClosed) || errors.Is(server.Err(), net.ErrClosed) {
			t.Error(client.Err(), server.Err())
		}
		if !errors.Is(server.Err(), io.ErrUnexpectedEOF) && !errors.Is(server.Err(), os.ErrClosed) {
			t.Log(server.Err())
		}
	})
}
