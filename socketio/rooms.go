package socketio

import "slices"

// room is sockets. A socket and a room that it is in know where in each other's list they are, so that joining and leaving
// take the same time however long these are.
type room struct {
	name    string
	members []member
}

type member struct {
	socket *Socket
	at     int32 // in socket.rooms
}

type membership struct {
	room *room
	at   int32 // in room.members
}

// fewRooms is up to how many rooms of a socket are looked through.
const fewRooms = 16

// find returns where in s.rooms r is, -1 if it is not there. The adapter is locked.
func (s *Socket) find(r *room) int {
	if len(s.rooms) > fewRooms {
		if at, ok := s.more.Load().memberAt[r]; ok {
			return int(at)
		}
		return -1
	}
	for i := range s.rooms {
		if s.rooms[i].room == r {
			return i
		}
	}
	return -1
}

// moved keeps memberAt. at is where r is in s.rooms now, -1: nowhere.
func (s *Socket) moved(r *room, at int) {
	switch m := s.more.Load(); {
	case len(s.rooms) <= fewRooms:
		if m != nil {
			m.memberAt = nil
		}
	case m == nil || m.memberAt == nil:
		m = s.extra()
		m.memberAt = make(map[*room]int32, len(s.rooms))
		for i := range s.rooms {
			m.memberAt[s.rooms[i].room] = int32(i)
		}
	case at < 0:
		delete(m.memberAt, r)
	default:
		m.memberAt[r] = int32(at)
	}
}

func (r *room) join(s *Socket) {
	at := len(s.rooms)
	s.rooms = append(s.rooms, membership{r, int32(len(r.members))})
	r.members = append(r.members, member{s, int32(at)})
	s.moved(r, at)
}

// leave takes s out of the room that is at a place of its list.
func (s *Socket) leave(at int) {
	left := s.rooms[at]
	r := left.room
	last := len(r.members) - 1
	r.members[left.at] = r.members[last]
	moved := r.members[left.at]
	moved.socket.rooms[moved.at].at = left.at
	r.members[last] = member{}
	r.members = r.members[:last]

	last = len(s.rooms) - 1
	s.rooms[at] = s.rooms[last]
	if at != last {
		other := s.rooms[at]
		other.room.members[other.at].at = int32(at)
	}
	s.rooms[last] = membership{}
	s.rooms = s.rooms[:last]
	s.moved(r, -1)
	if at != last {
		s.moved(s.rooms[at].room, at)
	}
}

// AddAll puts a socket into rooms: see Adapter.
func (m *MemoryAdapter) AddAll(id string, rooms []string) {
	s := m.nsp.Socket(id)
	if s == nil {
		return
	}
	var events []RoomEvent
	m.mu.Lock()
	for _, name := range rooms {
		if name == id || s.state.Load() == ended {
			continue
		}
		r := m.rooms[name]
		if r == nil {
			r = &room{name: name}
			m.rooms[name] = r
			events = m.note(events, CreateRoom, name, "")
		} else if s.find(r) >= 0 {
			continue
		}
		r.join(s)
		events = m.note(events, JoinRoom, name, id)
	}
	m.tell(events) // unlocks
}

// Del takes a socket out of a room: see Adapter.
func (m *MemoryAdapter) Del(id, name string) {
	s := m.nsp.Socket(id)
	if s == nil {
		return
	}
	var events []RoomEvent
	m.mu.Lock()
	if r := m.rooms[name]; r != nil {
		if at := s.find(r); at >= 0 {
			events = m.leave(s, at, events)
		}
	}
	m.tell(events) // unlocks
}

// DelAll takes a socket out of all rooms: see Adapter.
func (m *MemoryAdapter) DelAll(id string) {
	s := m.nsp.Socket(id)
	if s == nil {
		return
	}
	var events []RoomEvent
	m.mu.Lock()
	for len(s.rooms) > 0 {
		events = m.leave(s, len(s.rooms)-1, events)
	}
	s.rooms = nil
	m.tell(events) // unlocks
}

func (m *MemoryAdapter) leave(s *Socket, at int, events []RoomEvent) []RoomEvent {
	r := s.rooms[at].room
	s.leave(at)
	events = m.note(events, LeaveRoom, r.name, s.id)
	if len(r.members) == 0 {
		delete(m.rooms, r.name)
		events = m.note(events, DeleteRoom, r.name, "")
	} else if cap(r.members) > 64 && len(r.members) < cap(r.members)/4 {
		r.members = append(make([]member, 0, 2*len(r.members)), r.members...)
	}
	return events
}

// note adds an event, if anybody listens.
func (m *MemoryAdapter) note(events []RoomEvent, t RoomEventType, room, id string) []RoomEvent {
	if len(m.watchers) == 0 {
		return nil
	}
	return append(events, RoomEvent{t, room, id})
}

// tell tells of events. mu is held, and released.
func (m *MemoryAdapter) tell(events []RoomEvent) {
	watchers := m.watchers
	m.mu.Unlock()
	for _, e := range events {
		for _, f := range watchers {
			f(e)
		}
	}
}

// SocketRooms returns the rooms of a socket: see Adapter.
func (m *MemoryAdapter) SocketRooms(id string) ([]string, bool) {
	s := m.nsp.Socket(id)
	if s == nil {
		return nil, false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := make([]string, 1, 1+len(s.rooms))
	names[0] = id
	for i := range s.rooms {
		names = append(names, s.rooms[i].room.name)
	}
	slices.Sort(names[1:])
	return names, true
}

// target is what a name stands for: a room, a socket's own, or both if somebody has joined that.
type target struct {
	room   *room
	socket *Socket
}

func (t target) has(s *Socket) bool {
	return t.socket == s || t.room != nil && s.find(t.room) >= 0
}

func (m *MemoryAdapter) targets(dst []target, names []string) []target {
	for _, name := range names {
		if t := (target{m.rooms[name], m.nsp.Socket(name)}); t.room != nil || t.socket != nil {
			dst = append(dst, t)
		}
	}
	return dst
}

func among(targets []target, s *Socket) bool {
	for i := range targets {
		if targets[i].has(s) {
			return true
		}
	}
	return false
}

// each calls f for each connected socket that something is for, once.
func (m *MemoryAdapter) each(o *BroadcastOptions, f func(*Socket)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var roomsArray, exceptArray [4]target
	except := m.targets(exceptArray[:0], o.Except)
	visit := func(s *Socket, before []target) {
		if s.state.Load() == connected && !among(before, s) && !among(except, s) {
			f(s)
		}
	}
	if len(o.Rooms) == 0 {
		m.nsp.mu.RLock()
		defer m.nsp.mu.RUnlock()
		for _, s := range m.nsp.list {
			visit(s, nil)
		}
		return
	}
	targets := m.targets(roomsArray[:0], o.Rooms)
	for i, t := range targets {
		if t.room != nil {
			for j := range t.room.members {
				visit(t.room.members[j].socket, targets[:i])
			}
		}
		if t.socket != nil && (t.room == nil || t.socket.find(t.room) < 0) {
			visit(t.socket, targets[:i])
		}
	}
}
