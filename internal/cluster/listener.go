package cluster

import "net"

// Listener takes the streams that others dial. There is one for a node: before it is asked for, and after it is closed, streams are
// refused.
func (n *Node) Listener() net.Listener {
	t := &n.streams
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.listener.closed {
		t.listening = true
	}
	return t.listener
}

type listener struct {
	table   *streams
	waiting chan *stream
	done    chan struct{}
	closed  bool // guarded by streams.mu
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "cluster", Addr: l.Addr(), Err: net.ErrClosed}
	default:
	}
	select {
	case st := <-l.waiting:
		return st, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "cluster", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close implements net.Listener. Streams that wait are closed.
func (l *listener) Close() error {
	l.table.mu.Lock()
	if l.closed {
		l.table.mu.Unlock()
		return nil
	}
	l.closed, l.table.listening = true, false
	l.table.mu.Unlock()
	close(l.done)
	for {
		select {
		case st := <-l.waiting:
			_ = st.Close()
		default:
			return nil
		}
	}
}

// Addr is an [Addr].
func (l *listener) Addr() net.Addr { return Addr{l.table.node.ID()} }
