package presence

import "baro.dev/channel"

// view is what is known of a channel on another node.
type view struct {
	peer  *peer
	life  string
	seq   uint64
	count int      // of members, about
	pulls int      // under way
	early []change // what came meanwhile
}

const (
	// maxEarly bounds what comes while a node is asked.
	maxEarly = 1000
	// maxMembers is how many members a channel may have on another node.
	maxMembers = 1 << 20
)

// hear is what the bus calls with what is said of the channel.
func (l *place) hear(data []byte) {
	var c change
	err := decode(data, &c)
	if err == nil {
		err = c.check()
	}
	if err == nil {
		_, err = membersOf(c.Joins)
	}
	if err != nil {
		l.peers.poison(c.From, err)
		return
	}
	l.hearing.Lock()
	defer l.hearing.Unlock()
	v := l.view(c.From)
	if v == nil {
		return
	}
	l.peers.heard()
	switch {
	case v.count+len(c.Joins) > maxMembers:
		l.peers.poison(c.From, errTooLong)
	case v.pulls > 0 && len(v.early) < maxEarly:
		v.early = append(v.early, c)
	case v.pulls == 0:
		l.take(v, &c)
	}
}

// view finds or makes that of a node that is there. hearing is held, as in all that follows.
func (l *place) view(node string) *view {
	p := l.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := p.peers[node]
	if peer == nil || p.places[l.name] != l {
		return nil
	}
	v := l.views[node]
	if v == nil {
		v = &view{}
		l.views[node] = v
	}
	v.peer = peer
	return v
}

// take has a change be known, or asks for what is missing before it.
func (l *place) take(v *view, c *change) {
	same := c.Life == v.life
	switch {
	case same && c.Seq <= v.seq:
	case same && c.Seq == v.seq+1 && !c.Echo:
		v.seq++
		v.count += len(c.Joins) - len(c.Parts)
		l.crowd.Changed(v.peer.id, mustMembers(c.Joins), c.Parts)
	case v.life == "" && c.Seq == 1 && !c.Echo:
		v.life, v.seq, v.count = c.Life, 1, len(c.Joins)
		l.crowd.Are(v.peer.id, mustMembers(c.Joins))
	default:
		l.peers.want(v.peer, l.name)
	}
}

// mustMembers is of what was checked.
func mustMembers(told []member) []channel.Member {
	members, err := membersOf(told)
	if err != nil {
		panic(err)
	}
	return members
}

// begin begins to ask a node about the channel, and says what is known of it there.
func (l *place) begin(node *peer) state {
	l.hearing.Lock()
	defer l.hearing.Unlock()
	s := state{Name: l.name}
	if v := l.view(node.id); v != nil && v.peer == node {
		v.pulls++
		s.Life, s.Seq = v.life, v.seq
	}
	return s
}

// finish ends that. s is the answer, nil if there was none, or nothing has changed.
func (l *place) finish(node *peer, s *state, members []channel.Member) {
	l.hearing.Lock()
	defer l.hearing.Unlock()
	v := l.view(node.id)
	if v == nil || v.peer != node || v.pulls == 0 {
		return // it has gone meanwhile, or the channel has
	}
	if s != nil && !(s.Life == v.life && s.Seq < v.seq) {
		v.life, v.seq, v.count = s.Life, s.Seq, len(members)
		l.crowd.Are(node.id, members)
	}
	if v.pulls--; v.pulls > 0 {
		return
	}
	early := v.early
	v.early = nil
	for i := range early {
		l.take(v, &early[i])
	}
	if len(early) == maxEarly {
		l.peers.want(node, l.name)
	}
	if v.life == "" && v.pulls == 0 {
		delete(l.views, node.id)
	}
}

// forget has the members of a node that has gone leave.
func (l *place) forget(node string) {
	l.hearing.Lock()
	defer l.hearing.Unlock()
	if l.views[node] != nil {
		delete(l.views, node)
		l.crowd.Are(node, nil)
	}
}
