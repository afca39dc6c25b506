package socketio

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// packetLog is the events of a namespace, for clients that come back, and the sessions of these. Each event has a position; what
// is broadcast gets into the log and to the sockets in the same order, so that who has received one has received all before.
type packetLog struct {
	nsp *Namespace
	set *ConnectionStateRecovery
	tag string // that offsets begin with

	mu      sync.Mutex
	first   uint64 // the position of entries[head]; they begin with 1
	head    int
	entries []logEntry
	bytes   int

	sessions map[string]*saved // by pid
	order    []*saved          // as they were persisted
	timer    *time.Timer       // while there is something
	closed   bool
}

type logEntry struct {
	rooms, except []string
	messages      []parser.Message
	at            time.Time
	size          int
	uncompressed  bool
	position      uint64 // of one that is replayed
}

// saved is a session that waits for its client.
type saved struct {
	SessionState
	sent  uint64 // the position of the last event that was sent to it
	since uint64 // what came up to there is not for it
	at    time.Time
	spent bool
}

// entryBytes is what an event counts besides its bytes.
const entryBytes = 160

func newPacketLog(n *Namespace, set *ConnectionStateRecovery) *packetLog {
	return &packetLog{nsp: n, set: set, tag: newID()[:6], first: 1, sessions: map[string]*saved{}}
}

func (l *packetLog) end() uint64 { return l.first + uint64(len(l.entries)-l.head) }

// next returns the position of the next event.
func (l *packetLog) next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end()
}

// begin has a new socket go live.
func (l *packetLog) begin(s *Socket, live func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.sent = l.end() - 1
	s.extra().since = s.sent
	live()
}

// broadcast sends an event, with its position as one more argument.
func (l *packetLog) broadcast(m *MemoryAdapter, p *parser.Packet, o *BroadcastOptions) error {
	codec := l.nsp.server.set.Parser
	encoded, err := codec.Encode(nil, nil, p)
	if err != nil {
		return err
	}
	options := *o
	if !o.told && l.nsp.server.outgoing.Load() > 0 { // not with the log locked: they may emit
		for _, s := range m.list(o) {
			s.tellOutgoing(p)
		}
	}
	options.told = true
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.end()
	if encoded, err = codec.AppendArgument(encoded, l.offset(at)); err != nil {
		return err
	}
	l.append(logEntry{rooms: o.Rooms, except: o.Except, messages: encoded, at: time.Now(), uncompressed: o.Flags.Uncompress})
	to := m.recipients(o)
	defer to.free()
	for _, s := range to.sockets {
		s.sent = at
	}
	if len(to.sockets) > 0 {
		m.send(to, p, &options, encoded)
	}
	return nil
}

func (l *packetLog) append(e logEntry) {
	if l.closed {
		l.first++
		return
	}
	e.size = entryBytes
	for _, m := range e.messages {
		e.size += len(m.Data)
	}
	l.entries = append(l.entries, e)
	l.bytes += e.size
	l.trim(e.at)
	l.wind()
}

// trim drops what is too old or too much.
func (l *packetLog) trim(now time.Time) {
	oldest := now.Add(-l.set.MaxDisconnectionDuration)
	for l.head < len(l.entries) && (l.bytes > l.set.MaxLogBytes || l.entries[l.head].at.Before(oldest)) {
		l.bytes -= l.entries[l.head].size
		l.entries[l.head] = logEntry{}
		l.head++
		l.first++
	}
	if l.head > 1024 && l.head > len(l.entries)/2 || l.head == len(l.entries) {
		l.entries = slices.Clone(l.entries[l.head:])
		l.head = 0
	}
	drop := 0
	for drop < len(l.order) {
		s := l.order[drop]
		if !s.spent && len(l.sessions) <= l.set.MaxSessions && !s.at.Before(oldest) {
			break
		}
		if !s.spent {
			s.spent = true
			delete(l.sessions, s.PID)
		}
		drop++
	}
	l.order = slices.Delete(l.order, 0, drop)
	if len(l.order) > 2*len(l.sessions)+64 {
		l.order = slices.DeleteFunc(l.order, func(s *saved) bool { return s.spent })
	}
}

// wind has what is too old dropped even if nothing happens any more.
func (l *packetLog) wind() {
	if l.timer == nil && !l.closed && (len(l.entries) > 0 || len(l.order) > 0) {
		l.timer = time.AfterFunc(l.set.MaxDisconnectionDuration, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.timer = nil
			l.trim(time.Now())
			l.wind()
		})
	}
}

func (l *packetLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.first = l.end()
	l.entries, l.head, l.bytes = nil, 0, 0
	l.sessions, l.order = nil, nil
}

// persist keeps a session.
func (l *packetLog) persist(state *SessionState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	s := &saved{SessionState: *state, sent: state.socket.sent, since: state.socket.extra().since, at: time.Now()}
	s.socket = nil
	l.sessions[s.PID] = s
	l.order = append(l.order, s)
	l.trim(s.at)
	l.wind()
}

// restore takes a session, which is spent by that.
func (l *packetLog) restore(pid, offset string) *RestoredSession {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(time.Now())
	s := l.sessions[pid]
	if s == nil {
		return nil
	}
	s.spent = true
	delete(l.sessions, pid)
	var seen uint64
	if offset != "" {
		var ok bool
		if seen, ok = l.position(offset); !ok || seen >= l.end() {
			return nil
		}
	}
	// A client that has seen all that it was sent has missed nothing before it went, however long ago that was sent.
	from := max(seen, s.since) + 1
	if from > s.sent {
		from = max(s.mark, s.sent+1)
	}
	if from < l.first {
		return nil
	}
	missed := l.since(s, from)
	upTo := l.end()
	return &RestoredSession{SessionState: s.SessionState, GiveBack: func() { l.giveBack(s) }, Resume: func(socket *Socket, live func()) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, e := range append(missed, l.since(s, max(upTo, l.first))...) {
			_ = socket.session.SendPrepared(engineio.NewPrepared(engineMessages(nil, e.messages, e.uncompressed)...))
			s.sent = e.position
		}
		socket.sent, socket.extra().since = s.sent, from-1
		live()
	}}
}

// giveBack keeps a session that was taken, until it would have been too old anyway.
func (l *packetLog) giveBack(s *saved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.sessions[s.PID] != nil {
		return
	}
	s.spent = false
	l.sessions[s.PID] = s
	at, _ := slices.BinarySearchFunc(l.order, s.at, func(o *saved, t time.Time) int { return o.at.Compare(t) })
	if !slices.Contains(l.order[at:], s) {
		l.order = slices.Insert(l.order, at, s)
	}
	l.trim(time.Now())
	l.wind()
}

// since returns the events from a position on that are for a session.
func (l *packetLog) since(s *saved, from uint64) (all []logEntry) {
	for at := from; at < l.end(); at++ {
		if e := l.entries[l.head+int(at-l.first)]; (len(e.rooms) == 0 || s.isIn(e.rooms)) && !s.isIn(e.except) {
			e.position = at
			all = append(all, e)
		}
	}
	return all
}

func (s *saved) isIn(rooms []string) bool {
	for _, name := range rooms {
		if slices.Contains(s.Rooms, name) {
			return true
		}
	}
	return false
}

// offset is a position as clients have it. It begins with what only the log knows: clients take any string for an offset that a
// volatile event ends with.
func (l *packetLog) offset(at uint64) string { return l.tag + strconv.FormatUint(at, 36) }

func (l *packetLog) position(offset string) (at uint64, ok bool) {
	digits, ok := strings.CutPrefix(offset, l.tag)
	if !ok || len(digits) > 13 {
		return 0, false
	}
	at, err := strconv.ParseUint(digits, 36, 64)
	return at, err == nil
}
