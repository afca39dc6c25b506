package ws_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// RFC 6455 5.4: "A fragmented message consists of a single frame with the FIN bit clear and an opcode other than 0,
// followed by zero or more frames with the FIN bit clear and the opcode set to 0, and terminated by a single frame
// with the FIN bit set and an opcode of 0." "Control frames MAY be injected in the middle of a fragmented message."
// Other messages cannot, and wait.
func TestWriterOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		c, peer := openRaw(t, ws.AcceptOptions{})
		want := text(40_000, 0)
		go func() {
			w, err := c.Writer(ctx, ws.Text)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 40 {
				if i == 20 {
					mustWrite(t, c, "other")
					if err := c.Send(ws.Binary, []byte("another")); err != nil {
						t.Error(err)
					}
					go c.Ping(ctx)
					synctest.Wait()
				}
				if n, err := io.WriteString(w, want[i*1000:(i+1)*1000]); n != 1000 || err != nil {
					t.Error(n, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			mustWrite(t, c, "after")
		}()
		var got []rawFrame
		for len(got) < 7 {
			got = append(got, readFrame(t, peer))
		}
		// The ping goes as soon as it can.
		ping := slices.IndexFunc(got, func(f rawFrame) bool { return f.opcode == 9 })
		if ping < 1 || ping > 3 {
			t.Errorf("ping is frame %d", ping)
		} else {
			got = slices.Delete(got, ping, ping+1)
		}
		for i, f := range []rawFrame{
			{false, 1, want[:16384]},
			{false, 0, want[16384:32768]},
			{true, 0, want[32768:]},
			{true, 1, "other"},
			{true, 2, "another"},
			{true, 1, "after"},
		} {
			if got[i] != f {
				t.Errorf("frame %d: fin %v, opcode %d, %.20q of %d", i, got[i].fin, got[i].opcode, got[i].payload, len(got[i].payload))
			}
		}
	})
}

// Short messages are one frame, whoever writes them.
func TestWriterShort(t *testing.T) {
	c, peer := openRaw(t, ws.AcceptOptions{})
	for _, parts := range [][]string{nil, {""}, {"a"}, {"a", "", "bc"}} {
		go func() {
			w, err := c.Writer(t.Context(), ws.Binary)
			if err != nil {
				t.Error(err)
				return
			}
			for _, p := range parts {
				io.WriteString(w, p)
			}
			w.Close()
		}()
		if f := readFrame(t, peer); f != (rawFrame{true, 2, strings.Join(parts, "")}) {
			t.Errorf("%q: %+v", parts, f)
		}
	}
}

func TestWriterEnds(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		w, err := client.Writer(t.Context(), ws.Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "once")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "more"); err == nil {
			t.Error("Write after Close")
		}
		if err := w.Close(); err == nil {
			t.Error("Close after Close")
		}
		mustWrite(t, client, "next")
		mustRead(t, server, "once")
		mustRead(t, server, "next")

		// A connection may end before the message does.
		w, err = client.Writer(t.Context(), ws.Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text(20_000, 0))
		client.CloseNow()
		if _, err := io.WriteString(w, text(20_000, 0)); !errors.Is(err, ws.ErrClosed) {
			t.Error(err)
		}
		if err := w.Close(); !errors.Is(err, ws.ErrClosed) {
			t.Error(err)
		}
	})
}

// Text that turns out not to be valid UTF-8 never leaves as a message. Where a part has left, there is no way back.
func TestWriterInvalidText(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parts []string
		fails int // the part that is refused; len(parts): Close
		begun bool
	}{
		{"at once", []string{"a\xff"}, 0, false},
		{"in the second part", []string{"abc", "\xff"}, 1, false},
		{"cut short", []string{"abc\xed\x95"}, 1, false},
		{"cut between parts", []string{"abc\xed\x95", "x"}, 1, false},
		{"surrogate", []string{"\xed", "\xa0", "\x80"}, 1, false},
		{"after a fragment", []string{text(300_000, 0), "\xff"}, 1, true},
		{"end after a fragment", []string{text(300_000, 0), "\xed\x95"}, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
				mustWrite(t, client, text(4000, 5)) // so that a window has something in it
				mustRead(t, server, text(4000, 5))
				w, err := client.Writer(t.Context(), ws.Text)
				if err != nil {
					t.Fatal(err)
				}
				for i, p := range tt.parts {
					if _, err := io.WriteString(w, p); (err != nil) != (i >= tt.fails) {
						t.Fatalf("part %d: %v", i, err)
					}
				}
				if err := w.Close(); err == nil {
					t.Fatal("closed")
				}
				if !tt.begun {
					if client.Err() != nil {
						t.Fatal(client.Err())
					}
					for range 3 {
						mustWrite(t, client, "unharmed "+text(3000, 5)+text(20_000, 0)[:3000])
						mustRead(t, server, "unharmed "+text(3000, 5)+text(20_000, 0)[:3000])
					}
					return
				}
				if _, err := server.Read(t.Context()); ws.CloseStatus(err) != ws.StatusInternalError {
					t.Error(err)
				}
				if ws.CloseStatus(client.Err()) != ws.StatusInternalError {
					t.Error(client.Err())
				}
			})
		})
	}
}

// A Writer given up before anything left must leave no trace in what later messages refer back to.
func TestWriterInvalidTextAndWindow(t *testing.T) {
	client, server := openHTTP(t, ws.AcceptOptions{Compression: ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 15}}, "ws")
	phrase := text(2000, 9)
	w, err := client.Writer(t.Context(), ws.Text)
	if err != nil {
		t.Fatal(err)
	}
	// More than is gathered, less than the compressor needs to say something.
	io.WriteString(w, strings.Repeat(phrase, 10))
	if _, err := io.WriteString(w, "\xff"); err == nil {
		t.Fatal("invalid text accepted")
	}
	if err := client.Err(); err != nil {
		t.Skip("a fragment had left:", err)
	}
	mustWrite(t, client, phrase)
	mustRead(t, server, phrase)
}

// Only one message is written at a time. A second Writer waits for the first, no longer than it was told to.
func TestWriterWaitsForWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := openPipe(t, ws.AcceptOptions{})
		first, err := client.Writer(t.Context(), ws.Text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Writer(cancelled(), ws.Text); err != errCancelled {
			t.Fatal(err)
		}
		got := make(chan io.WriteCloser)
		go func() {
			w, err := client.Writer(t.Context(), ws.Text)
			if err != nil {
				t.Error(err)
			}
			got <- w
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("two at a time")
		default:
		}
		io.WriteString(first, "first")
		first.Close()
		second := <-got
		io.WriteString(second, "second")
		second.Close()
		mustRead(t, server, "first")
		mustRead(t, server, "second")

		// Nor longer than there is a connection.
		if _, err := client.Writer(t.Context(), ws.Text); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := client.Writer(t.Context(), ws.Text)
			if !errors.Is(err, ws.ErrClosed) {
				t.Error(err)
			}
			close(got)
		}()
		synctest.Wait()
		client.CloseNow()
		<-got
	})
}

// A Writer waits for room for its fragments. When it is cancelled, what it had accepted still makes a message.
func TestWriterCancelled(t *testing.T) {
	for _, char := range []string{"x", "é", "메", "🙂"} {
		synctest.Test(t, func(t *testing.T) {
			client, server := openPipe(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 20_000}})
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCancelled)
			defer cancel()
			w, err := client.Writer(ctx, ws.Text)
			if err != nil {
				t.Fatal(err)
			}
			want := "." + strings.Repeat(char, 400_000/len(char))
			n, err := io.WriteString(w, want)
			if err != errCancelled || n < 10_000 || n > 300_000 {
				t.Fatalf("%d bytes written, %v", n, err)
			}
			if _, err := io.WriteString(w, "more"); err != errCancelled {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			mustRead(t, server, want[:n])
			mustWrite(t, client, "goes on")
			mustRead(t, server, "goes on")
		})
	}
}

// Messages that wait for a Writer must not take the room that it needs to end.
func TestWriterAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := openPipe(t, ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 50_000}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w, err := client.Writer(ctx, ws.Text)
		if err != nil {
			t.Fatal(err)
		}
		const others = 10
		for i := range others {
			go func() {
				if err := client.Write(ctx, ws.Text, []byte(text(10_000, byte(i)))); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		if got := client.Buffered(); got < 40_000 || got > 50_000 {
			t.Errorf("%d bytes wait", got)
		}
		go func() {
			if _, err := io.WriteString(w, text(100_000, 99)); err != nil {
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		for range others + 1 {
			if _, err := server.Read(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The closing handshake does not wait for a message that is not finished.
func TestCloseDuringWriter(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		w, err := client.Writer(t.Context(), ws.Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text(300_000, 0))
		mustWrite(t, client, "never sent")
		read := make(chan error, 1)
		go func() {
			_, err := server.Read(t.Context())
			read <- err
		}()
		if err := client.Close(t.Context(), 4001, "bye"); err != nil {
			t.Fatal(err)
		}
		if err := <-read; ws.CloseStatus(err) != 4001 {
			t.Error(err)
		}
		if _, err := io.WriteString(w, text(300_000, 0)); ws.CloseStatus(err) != 4001 {
			t.Error(err)
		}
		if err := w.Close(); ws.CloseStatus(err) != 4001 {
			t.Error(err)
		}
	})
}
