package connection

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"baro.dev/ws"
)

// taps look at what passes over a WebSocket.
type taps struct {
	tell     func(Frame)
	measured *wire
}

// wire counts the payload of data frames.
type wire struct{ in, out atomic.Int64 }

func (t *taps) frames(out bool) *FrameReader {
	count := &t.measured.in
	if out {
		count = &t.measured.out
	}
	return &FrameReader{OnFrame: func(f Frame) {
		f.Out = out
		if f.Opcode < 8 {
			count.Add(f.Length)
		}
		if t.tell != nil {
			t.tell(f)
		}
	}}
}

// conn is ws.DialOptions.Wrap.
func (t *taps) conn(nc net.Conn) net.Conn {
	return &tappedConn{Conn: nc, in: tap{frames: t.frames(false), head: true}, out: tap{frames: t.frames(true), head: true}}
}

// tappedConn is a connection of HTTP/1.1, which begins with the handshake.
type tappedConn struct {
	net.Conn
	in, out tap // of whoever reads, and of whoever writes
}

func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.add(p[:n])
	return n, err
}

func (c *tappedConn) Write(p []byte) (int, error) {
	c.out.add(p)
	return c.Conn.Write(p)
}

// CloseWrite tells the server that nothing more comes, where that can be told.
func (c *tappedConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// tap looks at one direction.
type tap struct {
	frames *FrameReader
	head   bool // the head of a request, or an answer, is not over
	tail   []byte
}

var endOfHead = []byte("\r\n\r\n")

func (t *tap) add(p []byte) {
	if t.head {
		seen := append(t.tail, p...)
		_, behind, over := bytes.Cut(seen, endOfHead)
		if !over {
			t.tail = append([]byte(nil), seen[max(0, len(seen)-len(endOfHead)+1):]...)
			return
		}
		t.head, t.tail = false, nil
		p = behind
	}
	t.frames.Add(p)
}

// tappedStreams are streams of HTTP/2 or HTTP/3, which begin with frames.
type tappedStreams struct {
	ws.Streams
	taps *taps
}

func (s *tappedStreams) Open(r *http.Request) (*http.Response, io.ReadWriteCloser, error) {
	resp, stream, err := s.Streams.Open(r)
	if err != nil || stream == nil {
		return resp, stream, err
	}
	return resp, &tappedStream{stream, s.taps.frames(false), s.taps.frames(true)}, nil
}

type tappedStream struct {
	io.ReadWriteCloser
	in, out *FrameReader
}

func (s *tappedStream) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.in.Add(p[:n])
	return n, err
}

func (s *tappedStream) Write(p []byte) (int, error) {
	s.out.Add(p)
	return s.ReadWriteCloser.Write(p)
}

// CloseWrite tells the server that nothing more comes, where that can be told.
func (s *tappedStream) CloseWrite() error {
	if cw, ok := s.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}
