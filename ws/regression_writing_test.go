package ws_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// uncomparable is a context that cannot be compared with ==.
type uncomparable struct {
	context.Context
	_ []int
}

// A context is asked, never compared: some cannot be.
func TestUncomparableContext(t *testing.T) {
	c, p := bareConn(t, "tcp", false, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 3 {
		p.send(textFrame("a"))
		if m, err := c.Read(uncomparable{Context: ctx}); err != nil || m.String() != "a" {
			t.Fatal(m, err)
		}
	}
	go cancel()
	if _, err := c.Read(uncomparable{Context: ctx}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	p.send(textFrame("b"))
	if m, err := c.Read(t.Context()); err != nil || m.String() != "b" {
		t.Fatal(m, err)
	}
}

// Room in the queue that was reserved for a message and is not needed any more wakes those who wait for it.
func TestRoomReserved(t *testing.T) {
	st := newStand(t, subjects[0], "tcp", options{
		AcceptOptions: ws.AcceptOptions{Compression: compression(noTakeover), Queue: ws.Queue{MaxBytes: 1000}},
		extensions:    noTakeover,
		opened: func(c sender) {
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					for range 50 {
						c.Write(context.Background(), ws.Text, []byte(pattern(byte(i), 5000)))
					}
				})
			}
			all.Wait()
			c.Write(context.Background(), ws.Text, []byte("done"))
		},
	})
	p, err := st.open(t)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 8 * 50 {
		if s, ok := <-p.sights; !ok || len(s.data) != 5000 {
			t.Fatal(s, p.end)
		}
	}
	if err := p.expect(sawText("done")); err != nil {
		t.Fatal(err)
	}
}

// korean is text of so many characters of three bytes each, which hardly gets shorter by compression.
func korean(n int) string {
	var b strings.Builder
	random := randomBytes(2 * n)
	for i := range n {
		b.WriteRune(0xAC00 + rune(random[2*i])<<5 + rune(random[2*i+1]&31))
	}
	return b.String()
}

// A message in pieces that is given up for want of time ends, and what the peer gets of it is text.
func TestWriterOutOfTime(t *testing.T) {
	for _, agreed := range []string{"", takeover} {
		synctest.Test(t, func(t *testing.T) { writerOutOfTime(t, agreed) })
	}
}

func writerOutOfTime(t *testing.T, agreed string) {
	wrote := make(chan error, 1)
	st := newStand(t, subjects[0], "pipe", options{
		AcceptOptions: ws.AcceptOptions{Compression: compression(agreed), Queue: ws.Queue{MaxBytes: 40_000}},
		extensions:    agreed,
		opened: func(c sender) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			w, err := c.Writer(ctx, ws.Text)
			if err != nil {
				wrote <- err
				return
			}
			_, err = io.WriteString(w, korean(100_000))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("written: %v", err)
			}
			wrote <- w.Close()
		},
	})
	near, far := connPair(t, "pipe")
	p := &peer{Conn: far, stand: st, ended: make(chan error, 1)}
	p.start(false, agreed)
	if err := p.connect(near, nil); err != nil {
		t.Fatal(err)
	}
	// Nothing is read until the writer has given up.
	if err := <-wrote; err != nil {
		t.Errorf("closed: %v", err)
	}
	go p.collect()
	s, ok := <-p.sights
	if !ok || !strings.HasPrefix(korean(100_000), s.data) || len(s.data) == 0 {
		t.Fatalf("%v, %v", s, p.end)
	}
	p.send(textFrame("still here"))
	if err := p.expect(sawText("still here")); err != nil {
		t.Fatal(err)
	}
	p.Close()
}
