package ws_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// nexts are the ways to ask for the next message.
var nexts = map[string]func(ctx context.Context, c *ws.Conn) (string, error){
	"Read": func(ctx context.Context, c *ws.Conn) (string, error) {
		m, err := c.Read(ctx)
		return m.String(), err
	},
	"Messages": func(ctx context.Context, c *ws.Conn) (string, error) {
		for m, err := range c.Messages(ctx) {
			return m.String(), err
		}
		return "", c.Err()
	},
	"Reader": func(ctx context.Context, c *ws.Conn) (string, error) {
		_, r, err := c.Reader(ctx)
		if err != nil {
			return "", err
		}
		p, err := io.ReadAll(r)
		return string(p), err
	},
}

// What is left of a message that was read in part is discarded, wherever the reader stopped, in whatever way the
// next one is asked for. With context takeover later messages still inflate.
func TestReaderAbandoned(t *testing.T) {
	sizes := []int{0, 5000, 70_000}
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		go func() {
			for _, size := range sizes {
				for range 3 * len(nexts) {
					client.Write(context.Background(), ws.Text, []byte(text(size, 0)))
					client.Write(context.Background(), ws.Text, []byte("next "+text(2000, 0)))
				}
			}
		}()
		for _, size := range sizes {
			for name, next := range nexts {
				for _, part := range []int{0, size / 2, size} {
					typ, r, err := server.Reader(t.Context())
					if err != nil || typ != ws.Text {
						t.Fatal(typ, err)
					}
					p := make([]byte, part)
					if n, err := io.ReadFull(r, p); err != nil || string(p) != text(size, 0)[:part] {
						t.Fatalf("%d of %d: %.20q, %v", n, size, p, err)
					}
					got, err := next(t.Context(), server)
					if want := "next " + text(2000, 0); err != nil || got != want {
						t.Fatalf("%s after %d of %d: %.20q of %d, %v", name, part, size, got, len(got), err)
					}
					if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil {
						t.Fatalf("the old reader: %d, %v", n, err)
					}
				}
			}
		}
	})
}

// A reader that has got all bytes of its message but not yet the end must not be given those of the next one,
// whoever looks after the connection meanwhile.
func TestReaderAtTheEnd(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, c *ws.Conn){
		"ping": func(t *testing.T, c *ws.Conn) {
			if _, err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"nothing": func(*testing.T, *ws.Conn) { time.Sleep(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := openPipe(t, ws.AcceptOptions{})
				writeSoon(t, client, "first")
				_, r, err := server.Reader(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var p [5]byte
				if _, err := io.ReadFull(r, p[:]); err != nil || string(p[:]) != "first" {
					t.Fatal(string(p[:]), err)
				}
				pinged := make(chan struct{})
				go func() {
					meanwhile(t, server)
					close(pinged)
				}()
				synctest.Wait()
				mustWrite(t, client, "second")
				go client.Read(t.Context()) // answers the ping
				time.Sleep(2 * time.Second)
				if n, err := r.Read(p[:]); n != 0 || err != io.EOF {
					t.Errorf("%q, %v", p[:n], err)
				}
				mustRead(t, server, "second")
				<-pinged
			})
		})
	}
}

// When its ctx is done a reader is at its end, the connection is not.
func TestReaderCancelled(t *testing.T) {
	eachLink(t, ws.AcceptOptions{}, func(t *testing.T, client, server *ws.Conn) {
		for name, next := range nexts {
			w, err := client.Writer(t.Context(), ws.Text)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, text(300_000, 0))
			ctx, cancel := context.WithCancelCause(t.Context())
			_, r, err := server.Reader(ctx)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(5*time.Millisecond, func() { cancel(errCancelled) })
			n, err := io.Copy(io.Discard, r)
			if err != errCancelled {
				t.Fatalf("%s: after %d bytes: %v", name, n, err)
			}
			if _, _, err := server.Reader(ctx); err != errCancelled {
				t.Fatal(err)
			}
			io.WriteString(w, text(100_000, 1))
			w.Close()
			mustWrite(t, client, "next "+text(2000, 0))
			if got, err := next(t.Context(), server); err != nil || got != "next "+text(2000, 0) {
				t.Fatalf("%s: %.20q, %v", name, got, err)
			}
			if _, err := r.Read(make([]byte, 1)); err == nil {
				t.Fatal("the old reader reads")
			}
		}
	})
}

// A message that was read ahead, whole or in part, while nobody was reading.
func TestReaderOfReadAhead(t *testing.T) {
	for _, size := range []int{0, 10, 10_000, 60_000, 70_000, 500_000} {
		for name, next := range nexts {
			synctest.Test(t, func(t *testing.T) {
				client, server := openPipe(t, ws.AcceptOptions{})
				writeSoon(t, client, text(size, 0))
				time.Sleep(10 * time.Second) // long enough for the connection to look after itself
				if got, err := next(t.Context(), server); err != nil || got != text(size, 0) {
					t.Fatalf("%s: %.20q of %d, %v", name, got, len(got), err)
				}
				writeSoon(t, client, "next")
				mustRead(t, server, "next")
			})
		}
	}
}

// A reader may have its message in pieces of any size, with the connection looking after itself in between.
func TestReaderSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := openPipe(t, ws.AcceptOptions{})
		go func() {
			w, _ := client.Writer(t.Context(), ws.Text)
			for i := range 10 {
				io.WriteString(w, text(5_000, byte(i)))
			}
			w.Close()
		}()
		_, r, err := server.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var want, got bytes.Buffer
		for i := range 10 {
			want.WriteString(text(5_000, byte(i)))
		}
		p := make([]byte, 3001)
		for {
			n, err := r.Read(p)
			got.Write(p[:n])
			time.Sleep(time.Second)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%d bytes", got.Len())
		}
	})
}

// More than fits in memory, if it were much more.
func TestStreaming(t *testing.T) {
	const size = 1 << 20
	eachLink(t, ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: -1}}, func(t *testing.T, client, server *ws.Conn) {
		go func() {
			w, err := client.Writer(t.Context(), ws.Binary)
			if err != nil {
				t.Error(err)
				return
			}
			block := []byte(text(64<<10, 0))
			sent := sha256.New()
			for i := range size / len(block) {
				block[i] ^= 0xFF
				sent.Write(block)
				if _, err := w.Write(block); err != nil {
					t.Error(err)
					return
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			client.Write(t.Context(), ws.Binary, sent.Sum(nil))
		}()
		_, r, err := server.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if n, err := io.Copy(sum, r); n != size || err != nil {
			t.Fatal(n, err)
		}
		mustRead(t, server, string(sum.Sum(nil)))
	})
}

// The limit holds for readers, and is on what comes out.
func TestReaderLimit(t *testing.T) {
	eachLink(t, ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: 10_000}}, func(t *testing.T, client, server *ws.Conn) {
		fits := bytes.Repeat([]byte{'0'}, 10_000)
		for range 2 {
			client.Write(t.Context(), ws.Binary, fits)
		}
		client.Write(t.Context(), ws.Binary, append(fits, '1'))
		mustRead(t, server, string(fits))
		_, r, err := server.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != 10_000 || err != nil {
			t.Fatal(n, err)
		}
		_, r, err = server.Reader(t.Context())
		if err == nil {
			var n int64
			if n, err = io.Copy(io.Discard, r); n > 10_000 {
				t.Errorf("%d bytes", n)
			}
		}
		if !errors.Is(err, ws.ErrMessageTooBig) || ws.CloseStatus(err) != ws.StatusMessageTooBig {
			t.Error(err)
		}
		if _, err := client.Read(t.Context()); ws.CloseStatus(err) != ws.StatusMessageTooBig {
			t.Error(err)
		}
	})
}
