//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"baro.dev/bench/internal/epoll"
)

// Churn has connections come and go: connect, opening handshake, one message and its echo, closing handshake (RFC 6455
// 7.1.2), and wait for the server to close. A raw connection is shut down after the echo.
type Churn struct {
	Conns, Size      int // at a time
	Warmup, Duration time.Duration
}

// Churn measures. Messages are connections; latency is from the connect to the end of the stream.
func (t Target) Churn(o Churn) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		c := &churn{generator: g, payload: g.payload(o.Size), request: t.request("")}
		c.frame = g.encode(c.payload)
		c.goodbye = g.goodbye()
		c.advance = c.exchange
		return c.run(o)
	})
}

type churn struct {
	*generator
	payload, request, frame, goodbye []byte
	lives                            []life
	begun                            int
	// advance takes the next step if what has come ends the present one.
	advance func(i int, l *life) error
}

// goodbye is a close frame (RFC 6455 7.4.1).
func (g *generator) goodbye() []byte {
	return appendFrame(nil, opClose, g.key(), binary.BigEndian.AppendUint16(nil, 1000))
}

func (c *churn) run(o Churn) (Result, error) {
	c.conns, c.lives = make([]conn, o.Conns), make([]life, o.Conns)
	for i := range c.conns {
		if err := c.begin(i); err != nil {
			c.conns = c.conns[:i]
			return Result{}, err
		}
	}
	return c.measure(o.Warmup, o.Duration, c.step)
}

// life is what the present connection has come to.
type life struct {
	phase phase
	in    []byte // that has come since the last phase
}

type phase int

const (
	opening  phase = iota
	greeted        // Engine.IO: its first packet is due
	entering       // Socket.IO: the answer to CONNECT is due
	echoing
	closing
	over
)

// begin opens the next connection in place i.
func (c *churn) begin(i int) error {
	c.begun++
	fd, err := c.target.connect(c.begun)
	if err != nil {
		return err
	}
	c.conns[i] = conn{fd: fd, since: c.now()}
	if err := errors.Join(syscall.SetNonblock(fd, true), c.poller.Add(fd, i, epoll.In)); err != nil {
		return err
	}
	l := &c.lives[i]
	l.phase, l.in = opening, l.in[:0]
	if c.target.Raw {
		l.phase = echoing
		return c.send(i, c.frame)
	}
	return c.send(i, c.request)
}

func (c *churn) step() error {
	events, err := c.poller.Wait(100)
	if err != nil {
		return err
	}
	for _, e := range events {
		i := int(e.Fd)
		n, errno := epoll.Read(c.conns[i].fd, c.buf)
		if errno == syscall.EAGAIN {
			continue
		}
		l := &c.lives[i]
		l.in = append(l.in, c.buf[:n]...)
		if n > 0 {
			err = c.advance(i, l)
		} else if err = c.ended(l, errno); err == nil {
			l.phase = over
		}
		if err == nil && l.phase == over {
			c.latency.add(c.now()-c.conns[i].since, 1)
			c.messages++
			epoll.Close(c.conns[i].fd)
			c.conns[i].fd = -1
			err = c.begin(i)
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", c.begun, err)
		}
	}
	return nil
}

func (c *churn) exchange(i int, l *life) error {
	switch l.phase {
	case opening:
		if !bytes.HasSuffix(l.in, []byte("\r\n\r\n")) {
			return nil
		}
		if _, err := checkResponse(l.in); err != nil {
			return err
		}
		l.phase, l.in = echoing, l.in[:0]
		return c.send(i, c.frame)
	case echoing:
		header := 0
		if !c.target.Raw {
			header = serverHeader(len(c.payload))
		}
		if len(l.in) < header+len(c.payload) {
			return nil
		}
		if !bytes.Equal(l.in[header:], c.payload) {
			return errors.New("what came back is not what was sent")
		}
		l.phase, l.in = closing, l.in[:0]
		if c.target.Raw {
			return syscall.Shutdown(c.conns[i].fd, syscall.SHUT_WR)
		}
		return c.send(i, c.goodbye)
	}
	return nil
}

// ended checks how a stream ended.
func (c *churn) ended(l *life, errno syscall.Errno) error {
	if l.phase != closing || !c.target.Raw && (len(l.in) < 2 || l.in[0] != 0x80|opClose) {
		return fmt.Errorf("ended early, in step %d with %q: %w", l.phase, l.in, errno)
	}
	return nil
}
