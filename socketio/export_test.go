package socketio

// Outgoing returns how many handlers of OnAnyOutgoing the sockets of a server have.
func Outgoing(s *Server) int { return int(s.outgoing.Load()) }
