package cluster

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
)

// streams are those of a node. Locks are taken in the order Node.mu, streams.mu, stream.mu.
type streams struct {
	node     *Node
	maxPiece int

	mu        sync.Mutex
	table     map[streamKey]*stream
	accepted  int // of table
	last      uint64
	listener  *listener
	audits    int
	listening bool
}

// backlog is how many streams may wait for Accept.
const backlog = 256

// completeAudit is how many audits there are for one that lists all streams.
const completeAudit = 10

func (t *streams) init(n *Node) {
	t.node = n
	t.maxPiece = max(min(maxPiece, n.bus.MaxBytes()-headerBytes-streamBytes-8), 1)
	t.table = make(map[streamKey]*stream)
	t.listener = &listener{table: t, waiting: make(chan *stream, backlog), done: make(chan struct{})}
}

func (t *streams) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.table)
}

// Dial opens a stream to a node, this one too, that has a [Node.Listener]. It waits no longer than ctx, or [Options.AskTimeout]. The errors
// are those of [Node.Ask], and [ErrReset].
//
// What is written is sent at once, while the other side has room, and is not kept: a piece that the bus loses resets the stream.
// It is a net.Conn but for that Close may come before the other side has read.
func (n *Node) Dial(ctx context.Context, node string) (net.Conn, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	n.mu.Lock()
	there, left, away := n.has(node), n.left, n.away
	n.mu.Unlock()
	switch {
	case left:
		return nil, ErrClosed
	case !there:
		return nil, fmt.Errorf("%w: %q", ErrNoNode, node)
	case away:
		return nil, ErrAway
	}
	st, err := n.streams.dial(node)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		if !st.open {
			st.fail(context.Cause(ctx), true)
		}
	})
	defer stop()
	st.mu.Lock()
	for !st.open && st.err == nil {
		st.changed.Wait()
	}
	err = st.err
	st.mu.Unlock()
	if err != nil {
		_ = st.Close()
		return nil, err
	}
	return st, nil
}

func (t *streams) dial(node string) (*stream, error) {
	t.mu.Lock()
	if len(t.table)-t.accepted >= t.node.o.MaxStreams {
		t.mu.Unlock()
		return nil, fmt.Errorf("%w: this one has %d streams", ErrBusy, t.node.o.MaxStreams)
	}
	t.last++
	st := newStream(t, streamKey{peer: node, number: t.last, dialed: true}, t.node.ID())
	err := t.send(st.key, typeOpen, t.window()) // in the order of the numbers
	if err == nil {
		t.table[st.key] = st
	}
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	t.node.count.streamsOpened.Add(1)
	return st, nil
}

func (t *streams) window() []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(t.node.o.Window))
}

// receive takes what comes for streams.
func (t *streams) receive(data []byte) {
	n := t.node
	n.count.received.Add(1)
	n.count.receivedBytes.Add(uint64(len(data)))
	h, rest, ok := parseHeader(data)
	if !ok || !t.take(h, rest) {
		n.count.invalid.Add(1)
	}
}

func (t *streams) take(h header, rest []byte) bool {
	n := t.node
	n.mu.Lock()
	p := n.sender(h)
	first := p != nil && h.kind == typeOpen && len(rest) >= streamBytes && p.streams.first(binary.BigEndian.Uint64(rest[1:]))
	n.mu.Unlock()
	if p == nil {
		return true
	}
	if h.kind == typeAudit {
		return t.takeAudit(h.from, rest)
	}
	key, ok := parseKey(h.from, rest)
	if !ok {
		return false
	}
	rest = rest[streamBytes:]
	if h.kind == typeOpen {
		if len(rest) < 4 || key.dialed {
			return false
		}
		if first {
			t.accept(key, binary.BigEndian.Uint32(rest))
		}
		return true
	}
	t.mu.Lock()
	st := t.table[key]
	t.mu.Unlock()
	switch {
	case st != nil:
		return st.piece(h.kind, rest)
	case h.kind == typeData || h.kind == typeAccept:
		_ = t.send(key, typeReset, []byte{resetUnknown})
	case h.kind > typeAudit:
		n.count.unknown.Add(1)
	}
	return true
}

// accept takes a stream that another node opens.
func (t *streams) accept(key streamKey, window uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table[key] != nil {
		return
	}
	why := byte(resetBusy)
	switch {
	case !t.listening:
		why = resetClosed
	case t.accepted < t.node.o.MaxStreams && len(t.listener.waiting) < backlog: // only here it grows
		st := newStream(t, key, t.node.ID())
		st.opened(window)
		t.table[key] = st
		t.accepted++
		t.node.count.streamsOpened.Add(1)
		if t.send(key, typeAccept, t.window()) == nil {
			t.listener.waiting <- st
			return
		}
		delete(t.table, key)
		t.accepted--
		return
	default:
		t.node.count.refused.Add(1)
	}
	_ = t.send(key, typeReset, []byte{why})
}

func (t *streams) takeAudit(from string, rest []byte) bool {
	if len(rest) > maxAudit*auditBytes {
		return false
	}
	for ; len(rest) >= auditBytes; rest = rest[auditBytes:] {
		key, ok := parseKey(from, rest)
		if !ok {
			return false
		}
		t.mu.Lock()
		st := t.table[key]
		t.mu.Unlock()
		if st == nil {
			_ = t.send(key, typeReset, []byte{resetUnknown})
			continue
		}
		st.audit(binary.BigEndian.Uint64(rest[streamBytes:]), binary.BigEndian.Uint64(rest[streamBytes+8:]))
	}
	return true
}

// audit tells the others what has changed since the last one, and now and then everything.
func (t *streams) audit(complete bool) {
	t.mu.Lock()
	t.audits++
	complete = complete || t.audits%completeAudit == 0
	messages := make(map[string][]byte)
	limit := min(maxAudit*auditBytes, t.node.bus.MaxBytes()-headerBytes-auditBytes)
	for key, st := range t.table {
		entry := st.auditEntry(messages[key.peer], complete)
		if len(entry) >= limit {
			_ = t.node.send(subjectStreams+key.peer, typeAudit, entry)
			entry = entry[:0]
		}
		if len(entry) > 0 || messages[key.peer] != nil {
			messages[key.peer] = entry
		}
	}
	t.mu.Unlock()
	for peer, entries := range messages {
		if len(entries) > 0 {
			_ = t.node.send(subjectStreams+peer, typeAudit, entries)
		}
	}
}

func (t *streams) remove(key streamKey, st *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.table[key] == st {
		delete(t.table, key)
		if !key.dialed {
			t.accepted--
		}
	}
}

// lose ends the streams of a node that has gone. Node.mu is held.
func (t *streams) lose(node string) {
	t.each(func(key streamKey, st *stream) {
		if key.peer == node {
			st.fail(ErrGone, false)
		}
	})
}

// reset ends all streams, and leaves it to audits to tell the others.
func (t *streams) reset(why error) {
	t.each(func(_ streamKey, st *stream) { st.fail(why, false) })
}

// close ends all, before the node leaves the bus.
func (t *streams) close() {
	t.each(func(_ streamKey, st *stream) { st.fail(ErrClosed, true) })
	_ = t.listener.Close()
}

func (t *streams) each(f func(streamKey, *stream)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, st := range t.table {
		st.mu.Lock()
		f(key, st)
		st.mu.Unlock()
	}
}
