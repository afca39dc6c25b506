package presence

import (
	"slices"
	"sync"
	"time"

	"baro.dev/channel"
)

const (
	// tick is how long what there is to say waits for more.
	tick = 20 * time.Millisecond
	// maxChange is about how long a message that says who came and went may be.
	maxChange = 64 << 10
)

// echoAfter is when what was said last is said again.
var echoAfter = [...]time.Duration{2 * time.Second, 6 * time.Second}

// echo is a channel of which something is to be said again.
type echo struct {
	place *place
	due   time.Time
}

// place is a channel that lives here, and has presence.
type place struct {
	peers   *Peers
	name    string
	subject string
	crowd   channel.Crowd
	stop    func()

	// Guarded by Peers.mu.
	entering bool // the others have not answered yet
	life     string
	seq      uint64                     // of the last change that was told
	told     map[string]channel.Member  // who is here, as far as that was told
	changes  map[string]*channel.Member // what is to be told, by client: who joined; nil: it left
	echoing  [len(echoAfter)]bool       // it is among the echoes

	// hearing is held while something of another node changes what is known of it. The crowd is called with it held, so
	// that a hub's locks are taken after it, and before Peers.mu.
	hearing sync.Mutex
	views   map[string]*view // by node
}

// note has a change be told. Peers.mu is held, as in all that follows.
func (l *place) note(client string, joined *channel.Member) {
	l.changes[client] = joined
	l.peers.dirty[l] = struct{}{}
	l.peers.awake()
}

// tell says what has changed.
func (l *place) tell() {
	c, size := change{}, 0
	say := func() {
		if size > 0 {
			l.say(c)
		}
		c, size = change{}, 0
	}
	for client, joined := range l.changes {
		if joined != nil {
			if _, told := l.told[client]; told { // another who goes by the same id
				c.Parts = append(c.Parts, client)
				size += len(client)
				say()
			}
			l.told[client] = *joined
			m := newMember(joined)
			c.Joins = append(c.Joins, m)
			size += m.size()
		} else {
			delete(l.told, client)
			c.Parts = append(c.Parts, client)
			size += 2*len(client) + 3
		}
		if size > min(maxChange, l.peers.room()) {
			say()
		}
	}
	say()
	clear(l.changes)
}

// say says a change; and again, later, that it has.
func (l *place) say(c change) {
	l.seq++
	c.From, c.Life, c.Seq = l.peers.node.ID(), l.life, l.seq
	l.peers.stats.Told++
	_ = l.peers.bus.Publish(l.subject, encode(c)) // what is lost is noticed
	for i, after := range echoAfter {
		if !l.echoing[i] {
			l.echoing[i] = true
			l.peers.echoes[i] = append(l.peers.echoes[i], echo{l, time.Now().Add(after)})
		}
	}
}

// sayAgain says what was said last.
func (l *place) sayAgain() {
	_ = l.peers.bus.Publish(l.subject, encode(change{From: l.peers.node.ID(), Life: l.life, Seq: l.seq, Echo: true}))
}

// leaveAll says that all who are here have left.
func (l *place) leaveAll() {
	clear(l.changes)
	for client := range l.told {
		l.changes[client] = nil
	}
	l.tell()
	delete(l.peers.dirty, l)
}

// state says who is here, of those whose clients are after one, as far as they fit in room bytes.
func (l *place) state(after string, room int) (s state, size int) {
	s = state{Name: l.name, Life: l.life, Seq: l.seq}
	clients, all := l.next(after, max(room, 0)/leastMember+1)
	for _, client := range clients {
		told := l.told[client]
		m := newMember(&told)
		if size += m.size(); size > room && len(s.Members) > 0 {
			all = false
			break
		}
		s.Members = append(s.Members, m)
	}
	s.More = !all
	return s, size + 2*len(l.name) + 80
}

// next gives the first n clients after one, in order, and says whether these are all. The others need not be brought into order for that: a
// channel with many members is told in many parts.
func (l *place) next(after string, n int) (first []string, all bool) {
	first, all = make([]string, 0, min(2*n, len(l.told))), true
	last := "" // of the first n so far, if there are as many
	for client := range l.told {
		if client <= after || !all && client > last {
			continue
		}
		if first = append(first, client); len(first) == 2*n {
			slices.Sort(first)
			first, last, all = first[:n], first[n-1], false
		}
	}
	slices.Sort(first)
	if len(first) > n {
		first, all = first[:n], false
	}
	return first, all
}

// end ends listening.
func (l *place) end() {
	if l.stop != nil {
		l.stop()
	}
}
