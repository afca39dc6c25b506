package ws

// sendRun sends published messages. frames are all of them, for a connection without compression. Unless now, they are queued:
// somebody has to flush, and does before that only what would leave no room.
func (s *Socket) sendRun(run []publication, frames []byte, now bool) {
	w := waiting{policy: s.set.full}
	if w.policy == Block {
		w.policy = Close // a publisher waits for nobody
	}
	if s.deflate != nil {
		s.sendRunPacked(w, run, now)
		return
	}
	s.mu.Lock()
	if !now {
		s.makeRoom(len(frames))
	}
	if used := s.buffered(); len(run) > 1 && used > 0 && used+len(frames) > s.set.maxQueue {
		s.mu.Unlock()
		for i := range run { // some may find room
			s.sendRun(run[i:i+1], run[i].m.frame, now)
		}
		return
	}
	if err := s.admit(w, len(frames)); err != nil {
		s.mu.Unlock()
		return
	}
	switch {
	case s.held != nil:
		s.held.share(frames)
		s.mu.Unlock()
	case !now:
		s.out.share(frames)
		s.mu.Unlock()
	case s.direct():
		s.writeShared(frames) // unlocks
	default:
		s.out.share(frames)
		s.kick() // unlocks
	}
}

// makeRoom writes what is queued if n bytes more were too many: the queue is for what a peer does not take, and a burst of
// publications must not fill it before the peer was asked. mu is held, and held again at the end.
func (s *Socket) makeRoom(n int) {
	if used := s.out.size; used > 0 && used+n > min(maxRun, s.set.maxQueue) {
		s.flushLocked()
		s.mu.Lock()
	}
}

// sendRunPacked is sendRun for a connection with compression: each message is compressed by itself, and all leave together.
func (s *Socket) sendRunPacked(w waiting, run []publication, now bool) {
	if now && len(run) == 1 {
		_ = s.sendPrepared(w, run[0].m)
		return
	}
	for _, p := range run {
		s.queuePacked(w, p.m)
	}
	if now {
		s.mu.Lock()
		s.kick() // unlocks
	}
}

// queuePacked queues a message and nothing else.
func (s *Socket) queuePacked(w waiting, m *PreparedMessage) {
	d := s.deflate
	frame, pack := m.frame, m.packs(d)
	if pack {
		v := m.pack(variant{d.level, d.sendBits})
		if pack = d.sent != nil || len(v.frame) < len(m.frame); pack {
			frame = v.frame
		}
	}
	if d.sent != nil {
		d.mu.Lock() // the window must see the messages in the order in which they leave
		defer d.mu.Unlock()
		if d.streaming { // it belongs to a Writer, and this message goes without
			frame, pack = m.frame, false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(len(frame))
	if s.admit(w, len(frame)) != nil {
		return
	}
	if pack && d.sent != nil {
		d.sent.Write(m.data)
	}
	if s.held != nil {
		s.held.share(frame)
	} else {
		s.out.share(frame)
	}
}
