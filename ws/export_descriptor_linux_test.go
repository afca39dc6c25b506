package ws

// Descriptor returns the descriptor that the event loop has or had for s.
func (s *Socket) Descriptor() int { return s.place.conn.Fd() }
