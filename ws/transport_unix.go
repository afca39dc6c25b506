//go:build unix

package ws

import (
	"io"
	"net"
	"syscall"
)

// socket is a plain TCP or Unix connection, read and written through its descriptor: a reader that waits holds no
// buffer, and a write can be tried without waiting. Reading and writing each keep their arguments in the struct, so
// that the callbacks of syscall.RawConn are bound once and no call allocates.
type socket struct {
	driverless
	nc  net.Conn
	raw syscall.RawConn

	onReadable func(fd uintptr) bool
	dst        []byte
	buf        *[readSize]byte
	n          int
	readErr    error

	onWritable func(fd uintptr) bool
	head, tail []byte
	written    int
	writeErr   error
}

// newSocket returns nil if nc is not a socket of its own, such as a *tls.Conn.
func newSocket(nc net.Conn) transport {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{nc: nc, raw: raw}
	s.onReadable = s.readNow
	s.onWritable = s.writeNow
	return s
}

func (s *socket) read(dst []byte, idle bool) ([]byte, *[readSize]byte, error) {
	s.dst = dst
	err := s.raw.Read(s.onReadable)
	s.dst = nil
	if err != nil {
		return nil, nil, err
	}
	buf := s.buf
	s.buf = nil
	if s.readErr == nil && s.n == 0 {
		s.readErr = io.EOF
	}
	if s.readErr != nil {
		if buf != nil {
			readBuffers.Put(buf)
		}
		return nil, nil, s.readErr
	}
	if buf != nil {
		dst = buf[:]
	}
	return dst[:s.n], buf, nil
}

// readNow reads if there is something to read; otherwise it asks to be called again when there is.
func (s *socket) readNow(fd uintptr) bool {
	dst := s.dst
	if dst == nil {
		if s.buf == nil {
			s.buf = readBuffers.Get().(*[readSize]byte)
		}
		dst = s.buf[:]
	}
	for {
		s.n, s.readErr = syscall.Read(int(fd), dst)
		switch s.readErr {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if s.buf != nil {
				readBuffers.Put(s.buf)
				s.buf = nil
			}
			return false
		}
		return true
	}
}

func (s *socket) tryWrite(head, tail []byte) (int, error) {
	s.head, s.tail = head, tail
	err := s.raw.Write(s.onWritable)
	s.head, s.tail = nil, nil
	if err != nil {
		return 0, err
	}
	return s.written, s.writeErr
}

// writeNow writes what the kernel takes and never waits.
func (s *socket) writeNow(fd uintptr) bool {
	for {
		if len(s.tail) == 0 {
			s.written, s.writeErr = syscall.Write(int(fd), s.head)
		} else {
			s.written, s.writeErr = writev(int(fd), s.head, s.tail)
		}
		switch s.writeErr {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			s.written, s.writeErr = 0, nil
		}
		return true
	}
}

func (s *socket) write(p []byte) error {
	_, err := s.nc.Write(p)
	return err
}

func (s *socket) resume()          { s.nc.SetReadDeadline(noDeadline) }
func (s *socket) interrupt()       { s.nc.SetReadDeadline(past) }
func (s *socket) closeWrite()      { closeWrite(s.nc) }
func (s *socket) close(bool) error { return s.nc.Close() }
func (s *socket) conn() net.Conn   { return s.nc }

func (s *socket) addr(peer bool) net.Addr { return connAddr(s.nc, peer) }
