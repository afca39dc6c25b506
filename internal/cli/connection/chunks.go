package connection

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
)

// chunks reads a stream ahead, a little, so that whoever waits for it can leave. next is called by one goroutine at a time.
type chunks struct {
	stream io.ReadCloser
	ready  chan chunk
	free   chan []byte
	done   chan struct{}
	once   sync.Once
	lent   []byte
	err    error
}

type chunk struct {
	data []byte
	err  error
}

const chunkSize = 32 << 10

// newChunks reads a stream until close, or its end.
func newChunks(stream io.ReadCloser) *chunks {
	c := &chunks{stream: stream, ready: make(chan chunk), free: make(chan []byte, 2), done: make(chan struct{})}
	c.free <- make([]byte, chunkSize)
	c.free <- make([]byte, chunkSize)
	go c.read()
	return c
}

func (c *chunks) read() {
	for {
		var buf []byte
		select {
		case buf = <-c.free:
		case <-c.done:
			return
		}
		n, err := c.stream.Read(buf)
		select {
		case c.ready <- chunk{buf[:n], err}:
		case <-c.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// next waits for what comes next, which is lent until the next call. A ctx that is done does not keep it from what is there already.
func (c *chunks) next(ctx context.Context) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.lent != nil {
		c.free <- c.lent[:cap(c.lent)]
		c.lent = nil
	}
	var got chunk
	select {
	case got = <-c.ready:
	default:
		select {
		case got = <-c.ready:
		case <-c.done:
			c.err = ErrClosed
			return nil, c.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	c.lent, c.err = got.data, got.err
	if len(got.data) > 0 {
		return got.data, nil
	}
	return nil, c.err
}

// close ends the stream, and next.
func (c *chunks) close() {
	c.once.Do(func() {
		close(c.done)
		c.stream.Close()
	})
}

// lines are those of a stream, of at most max bytes each.
type lines struct {
	*chunks
	max  int64
	rest []byte // of the chunk that is lent
	part []byte // of a line
	done bool   // part has been handed out
}

// line returns the next line, without its end, which is lent until the next call. What is behind the last end of line is a line, too.
func (l *lines) line(ctx context.Context) ([]byte, error) {
	if l.done {
		l.part, l.done = l.part[:0], false
	}
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte{'\n'})
		l.rest = rest
		if int64(len(l.part)+len(line)) > l.max {
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrTooLarge, l.max)
		}
		switch {
		case whole && len(l.part) == 0:
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		case whole:
			l.part, l.done = append(l.part, line...), true
			return bytes.TrimSuffix(l.part, []byte{'\r'}), nil
		}
		l.part = append(l.part, line...)
		var err error
		if l.rest, err = l.next(ctx); err != nil {
			if err == io.EOF && len(l.part) > 0 {
				l.done = true
				return l.part, nil
			}
			return nil, err
		}
	}
}
