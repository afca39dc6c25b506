package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// A Socket is one that the process was started with: either a listener or a packet connection.
type Socket struct {
	Name     string         // of the unit (FileDescriptorName=), "unknown" if it has none
	Listener net.Listener   // a [*net.TCPListener] if it is one of TCP; nil for datagrams
	Packets  net.PacketConn // a [*net.UDPConn] if it is one of UDP; nil for streams
}

// first is the descriptor of the first socket (SD_LISTEN_FDS_START).
const first = 3

// maxSockets bounds what the environment may claim.
const maxSockets = 64

// Sockets takes the sockets that the process was started with, once: it takes what says so out of the environment. None, if the
// environment speaks of another process. The caller closes them.
func Sockets() ([]Socket, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		_ = os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS=%q in the environment: it must be a number of sockets, %d at most", count, maxSockets)
	}
	var named []string
	if names != "" {
		named = strings.Split(names, ":")
	}
	var sockets []Socket
	for i := range n {
		s := Socket{Name: "unknown"}
		if i < len(named) {
			s.Name = named[i]
		}
		if err := s.open(uintptr(first + i)); err != nil {
			for _, s := range sockets {
				s.Close()
			}
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// open makes of the descriptor what it is. The descriptor is closed: what is made of it has one of its own, which no child has.
func (s *Socket) open(fd uintptr) error {
	f := os.NewFile(fd, s.Name)
	if f == nil {
		return fmt.Errorf("the socket %q that was handed over: there is no descriptor %d", s.Name, fd)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err == nil {
		s.Listener = l
		return nil
	}
	c, packetErr := net.FilePacketConn(f)
	if packetErr == nil {
		s.Packets = c
		return nil
	}
	return fmt.Errorf("the socket %q that was handed over neither listens (%w) nor takes datagrams (%w)", s.Name, err, packetErr)
}

// Addr is where the socket is.
func (s Socket) Addr() net.Addr {
	if s.Listener != nil {
		return s.Listener.Addr()
	}
	return s.Packets.LocalAddr()
}

// Close closes the socket.
func (s Socket) Close() {
	if s.Listener != nil {
		s.Listener.Close()
	}
	if s.Packets != nil {
		_ = s.Packets.Close()
	}
}
