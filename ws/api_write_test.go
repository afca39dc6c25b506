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
	"testing/synctest"
	"time"

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

// A frame of a server with n bytes of payload.
func serverFrame(n int) int {
	if n < 126 {
		return n + 2
	}
	return n + 4
}

func TestSendDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := openRaw(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1000, Full: ws.Drop}})
		// The first is accepted whatever its size, and waits for the peer.
		accepted := []string{text(5000, 0)}
		if err := c.Send(ws.Text, []byte(accepted[0])); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.Buffered(); got != serverFrame(5000) {
			t.Errorf("%d bytes buffered", got)
		}
		if err := c.Send(ws.Text, []byte("no room")); err != ws.ErrQueueFull {
			t.Fatal(err)
		}
		readFrame(t, peer)
		synctest.Wait()
		if c.Buffered() != 0 {
			t.Errorf("%d bytes buffered", c.Buffered())
		}
		accepted = nil
		for i := range 100 {
			p := text(90, byte(i))
			switch err := c.Send(ws.Text, []byte(p)); err {
			case nil:
				accepted = append(accepted, p)
			case ws.ErrQueueFull:
			default:
				t.Fatal(err)
			}
		}
		if n := len(accepted); n < 9 || n > 1000/92 {
			t.Errorf("%d messages of 90 bytes accepted into 1000", n)
		}
		if got := c.Buffered(); got != len(accepted)*serverFrame(90) {
			t.Errorf("%d bytes buffered, of %d messages", got, len(accepted))
		}
		// Those and no others arrive, and the connection goes on.
		for _, want := range accepted {
			if f := readFrame(t, peer); f.payload != want {
				t.Fatalf("%.20q, want %.20q", f.payload, want)
			}
		}
		synctest.Wait()
		if err := c.Send(ws.Text, []byte("room again")); err != nil {
			t.Fatal(err)
		}
		if f := readFrame(t, peer); f.payload != "room again" {
			t.Fatal(f)
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

func TestSendClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := openRaw(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1000}})
		start := time.Now()
		var err error
		sent := 0
		for ; err == nil; sent++ {
			err = c.Send(ws.Text, []byte(text(90, 0)))
		}
		if !errors.Is(err, ws.ErrQueueFull) || ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Fatal(err)
		}
		if time.Since(start) != 0 {
			t.Error("Send has waited")
		}
		if err := c.Send(ws.Text, nil); ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Error(err)
		}
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusPolicyViolation {
			t.Error(err)
		}
		// A peer that is only slow still gets what was accepted, and is told why there is no more.
		for range sent - 1 {
			readFrame(t, peer)
		}
		if f := readFrame(t, peer); f.opcode != 8 || !strings.HasPrefix(f.payload, "\x03\xf0") {
			t.Errorf("%+v", f)
		}
		peer.Close()
		<-c.Done()

		// One that is gone is not waited for longer than CloseTimeout.
		c, _ = openRaw(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 1000}, Limits: ws.Limits{CloseTimeout: 3 * time.Second}})
		for c.Send(ws.Text, []byte(text(90, 0))) == nil {
		}
		start = time.Now()
		<-c.Done()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("cut after %v", took)
		}
		if !errors.Is(c.Err(), ws.ErrQueueFull) {
			t.Error(c.Err())
		}
	})
}

func TestSendBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := openRaw(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 100, Full: ws.Block}})
		if err := c.Send(ws.Text, []byte(text(90, 0))); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- c.Send(ws.Text, []byte(text(90, 1))) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatal("did not wait:", err)
		default:
		}
		readFrame(t, peer)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if f := readFrame(t, peer); f.payload != text(90, 1) {
			t.Fatal(f)
		}
		// It waits no longer than there is a connection.
		for i := range 2 {
			go func() { done <- c.Send(ws.Text, []byte(text(90, byte(i)))) }()
			synctest.Wait()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
}

// A Write waits for room. One that is cancelled has sent nothing and leaves the connection as it was.
func TestWriteWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := openRaw(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 100, Full: ws.Drop}}) // the policy is Send's alone
		mustWrite(t, c, text(90, 0))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := c.Write(ctx, ws.Text, []byte("never sent")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %v", took)
		}
		if err := c.Write(cancelled(), ws.Text, []byte("never sent")); err != errCancelled {
			t.Fatal(err)
		}
		m, _ := ws.NewPreparedMessage(ws.Text, []byte("never sent"))
		if err := c.WritePrepared(cancelled(), m); err != errCancelled {
			t.Fatal(err)
		}
		if err := c.SendPrepared(m); err != ws.ErrQueueFull {
			t.Fatal(err)
		}
		if c.Buffered() != serverFrame(90) {
			t.Errorf("%d bytes buffered", c.Buffered())
		}
		done := make(chan error, 1)
		go func() { done <- c.Write(t.Context(), ws.Text, []byte(text(90, 1))) }()
		synctest.Wait()
		for i := range 2 {
			if f := readFrame(t, peer); f.payload != text(90, byte(i)) {
				t.Fatalf("%.40q", f.payload)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mustWrite(t, c, "goes on")
		if f := readFrame(t, peer); f.payload != "goes on" {
			t.Fatalf("%.40q", f.payload)
		}
	})
}

// The same over TCP, where the kernel buffers, and with compression, where nothing may enter the window that does not
// leave.
func TestSlowPeer(t *testing.T) {
	for name, compression := range compressions {
		t.Run(name, func(t *testing.T) {
			client, server := openHTTP(t, ws.AcceptOptions{Compression: compression, Queue: ws.Queue{MaxBytes: 100_000, Full: ws.Drop}}, "ws")
			server.UnderlyingConn().(*net.TCPConn).SetWriteBuffer(64 << 10)
			client.UnderlyingConn().(*net.TCPConn).SetReadBuffer(64 << 10)
			var accepted []string
			for i := 0; ; i++ {
				p := text(10_000+i%1000, byte(i))
				var err error
				if i%3 == 0 {
					m, _ := ws.NewPreparedMessage(ws.Text, []byte(p))
					err = server.SendPrepared(m)
				} else {
					err = server.Send(ws.Text, []byte(p))
				}
				if err == ws.ErrQueueFull {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				accepted = append(accepted, p)
			}
			if got := server.Buffered(); got > 100_000 || got < 50_000 {
				t.Errorf("%d bytes buffered", got)
			}
			short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			for range 3 {
				if err := server.Write(short, ws.Text, []byte(text(100_000, 77))); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
			}
			for _, want := range accepted {
				mustRead(t, client, want)
			}
			mustWrite(t, server, text(500, 3))
			mustRead(t, client, text(500, 3))
		})
	}
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
