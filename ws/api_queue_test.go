package ws_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

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
