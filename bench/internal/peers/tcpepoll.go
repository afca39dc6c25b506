//go:build linux

package peers

import (
	"net"
	"runtime"
	"syscall"

	"baro.dev/bench/internal/epoll"
)

// tcpEpollServer is one epoll loop, level-triggered, with one read and one write for each event, and no protocol: the
// floor in Go.
func tcpEpollServer(l net.Listener, o Options) error {
	poller, err := epoll.New(1024)
	if err != nil {
		return err
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	s := &tcpEpoll{poller: poller, role: o.Role, buf: make([]byte, 64<<10)}
	failed := raw.Control(func(fd uintptr) { err = s.run(int(fd)) })
	if failed != nil {
		return failed
	}
	return err
}

type tcpEpoll struct {
	poller *epoll.Poller
	role   Role
	buf    []byte
	open   []bool         // by descriptor
	unsent map[int][]byte // by descriptor: what the kernel has not taken yet
}

func (s *tcpEpoll) run(listener int) error {
	s.unsent = make(map[int][]byte)
	if err := s.poller.Add(listener, listener, epoll.In); err != nil {
		return err
	}
	for {
		events, err := s.poller.Wait(100)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			runtime.Gosched() // Wait keeps the scheduler from running anything else
		}
		for _, e := range events {
			switch fd := int(e.Fd); {
			case fd == listener:
				s.accept(listener)
			case e.Events&epoll.Out != 0:
				s.flush(fd)
			default:
				s.read(fd)
			}
		}
	}
}

func (s *tcpEpoll) accept(listener int) {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) != nil || s.poller.Add(fd, fd, epoll.In) != nil {
			epoll.Close(fd)
			continue
		}
		for len(s.open) <= fd {
			s.open = append(s.open, false)
		}
		s.open[fd] = true
	}
}

func (s *tcpEpoll) close(fd int) {
	epoll.Close(fd)
	s.open[fd] = false
	delete(s.unsent, fd)
}

func (s *tcpEpoll) read(fd int) {
	n, errno := epoll.Read(fd, s.buf)
	switch {
	case errno == syscall.EAGAIN:
	case n == 0:
		s.close(fd)
	case !published(s.role, s.buf[:n]):
		s.write(fd, s.buf[:n])
	default:
		for to, open := range s.open {
			if open {
				s.write(to, s.buf[:n])
			}
		}
	}
}

// write writes, and keeps what the kernel does not take. An echo reads no more until that has left.
func (s *tcpEpoll) write(fd int, b []byte) {
	if len(s.unsent) > 0 && len(s.unsent[fd]) > 0 {
		s.unsent[fd] = append(s.unsent[fd], b...)
		return
	}
	n, errno := epoll.Write(fd, b)
	if n == len(b) || errno != 0 && errno != syscall.EAGAIN {
		return // an error is seen again when reading
	}
	s.unsent[fd] = append([]byte(nil), b[n:]...)
	s.watch(fd, epoll.Out)
}

func (s *tcpEpoll) flush(fd int) {
	n, errno := epoll.Write(fd, s.unsent[fd])
	if errno != 0 && errno != syscall.EAGAIN {
		s.close(fd)
		return
	}
	if s.unsent[fd] = s.unsent[fd][n:]; len(s.unsent[fd]) == 0 {
		delete(s.unsent, fd)
		s.watch(fd, epoll.In)
	}
}

func (s *tcpEpoll) watch(fd int, events uint32) {
	if s.poller.Modify(fd, fd, events) != nil {
		s.close(fd)
	}
}
