package socketio

import (
	"crypto/subtle"

	"baro.dev/socketio/parser"
)

// What a client that comes back says, besides what it has to say itself.
type returning struct {
	PID    any `json:"pid"`
	Offset any `json:"offset"`
}

// A pid is a secret, then the id of the socket, by which one is found whose end has not been noticed yet. That of a server of Node is
// a secret alone.
const pidSecret = 20

// recover finds the session that the client wants to go on with, or else begins one.
func (s *Socket) recover(auth parser.Value) {
	m := s.extra()
	var r returning
	if !auth.IsZero() && auth.Decode(&r) == nil {
		pid, _ := r.PID.(string)
		offset, ok := r.Offset.(string)
		if len(pid) >= pidSecret && len(pid) <= 2*pidSecret+16 && (ok && offset != "" || r.Offset == nil) {
			s.nsp.expire(pid)
			if restored := s.nsp.adapter.RestoreSession(pid, offset); restored != nil {
				s.id, m.pid, s.data, s.recovered = restored.ID, restored.PID, restored.Data, true
				m.restored = restored
				return
			}
		}
	}
	s.id = s.nsp.newID()
	m.pid = newID() + s.id
}

// expire ends the socket with a pid: its client has come back before the end of its connection has been noticed.
func (n *Namespace) expire(pid string) {
	s := n.Socket(pid[pidSecret:])
	if s == nil {
		return
	}
	m := s.more.Load()
	if m == nil || subtle.ConstantTimeCompare([]byte(m.pid), []byte(pid)) != 1 {
		return
	}
	s.abandon() // its middleware may still run
	s.end(TransportClose, false)
	s.session.CloseNow()
	m.stopping.Lock() // who has ended it at the same time persists it before that
	defer m.stopping.Unlock()
}

// takeRestored returns the session that the socket goes on with, nil if it is a new one.
func (s *Socket) takeRestored() *RestoredSession {
	m := s.more.Load()
	if m == nil {
		return nil
	}
	r := m.restored
	m.restored = nil
	return r
}
