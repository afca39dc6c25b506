package server

import "net"

// Sockets are those that a server was handed, open already. A nil one: the server opens its own.
type Sockets struct {
	// TCP is what the server listens on instead of [Config.Listen].
	TCP *net.TCPListener
	// UDP is where it speaks HTTP/3, if it does.
	UDP *net.UDPConn
	// Admin is what it listens on instead of [Config.AdminListen].
	Admin *net.TCPListener
}

// Adopt has the server use sockets that it was handed. It comes before [Server.Listen]; the server closes them.
func (s *Server) Adopt(sockets Sockets) { s.adopted = sockets }

// adoptTCP does for a listener that was handed over what listening would have done. One of Multipath TCP does not take the option.
func (s *Server) adoptTCP() error {
	raw, err := s.adopted.TCP.SyscallConn()
	if err != nil {
		return err
	}
	address := s.adopted.TCP.Addr().String()
	if control := userTimeout(s.config.WriteTimeout); control != nil {
		if err := control("tcp", address, raw); err != nil {
			s.log.Warn("clients that lose the network are noticed late", "address", address, "error", err)
		}
	}
	s.listener = s.adopted.TCP
	return nil
}

// adoptUDP takes the socket that was handed over for HTTP/3, and says whether there was one.
func (s *Server) adoptUDP() bool {
	if s.adopted.UDP == nil {
		return false
	}
	if s.http3 == nil {
		s.log.Warn("the UDP socket that was handed over is not used: HTTP/3 needs TLS", "address", s.adopted.UDP.LocalAddr().String())
		_ = s.adopted.UDP.Close()
		return true
	}
	s.http3.socket = s.adopted.UDP
	return true
}
