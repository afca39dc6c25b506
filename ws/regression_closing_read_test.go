package ws_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// A scripted connection gives one part a read, each after its hook, if it has one, and then the end.
type scripted struct {
	net.Conn // for its deadlines
	parts    []string
	hooks    map[int]func()
	part     int
	rest     string
	wrote    chan struct{} // has room for one
}

func newScripted(parts ...string) *scripted {
	c, _ := net.Pipe()
	return &scripted{Conn: c, parts: parts, hooks: map[int]func(){}, wrote: make(chan struct{}, 1)}
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.rest == "" {
		if s.part == len(s.parts) {
			return 0, io.EOF
		}
		s.rest = s.parts[s.part]
		s.part++
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	if hook := s.hooks[s.part]; hook != nil && s.rest == "" {
		hook()
	}
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) {
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

// Close takes over from a Read that has just got the next part of a large message right where it belongs: the buffer is nobody else's until
// that is dropped. Others' messages would be looked at, or the close be one for text that is not UTF-8.
func TestCloseWhileReadInPlace(t *testing.T) {
	const size, first = 40_000, 9000
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel()
	noise := string(wireBytes(false, binaryFrame(string(bytes.Repeat([]byte{0xff}, size)))))
	for range 3 {
		others.Go(func() {
			for ctx.Err() == nil {
				c := ws.NewConn(newScripted(noise[:first], noise[first:]), true, "", nil)
				if m, err := c.Read(ctx); err == nil && len(m.Data) != size {
					t.Errorf("%d bytes", len(m.Data))
				}
				c.CloseNow()
			}
		})
	}
	wire := string(wireBytes(false, textFrame(text(size, 1))))
	goodbye := string(wireBytes(false, closeFrame(1000, "")))
	for range 100 {
		s := newScripted(wire[:first], wire[first:], goodbye)
		c := ws.NewConn(s, true, "", nil)
		closed := make(chan error, 1)
		s.hooks[2] = func() {
			go func() { closed <- c.Close(context.Background(), ws.StatusNormalClosure, "") }()
			<-s.wrote
			for end := time.Now().Add(100 * time.Microsecond); time.Now().Before(end); { // that Read is to notice
				runtime.Gosched()
			}
		}
		_, _ = c.Read(ctx)
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
	}
}
