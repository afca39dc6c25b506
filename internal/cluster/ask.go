package cluster

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// A Handler answers questions of one kind, or takes what is told. It has its own goroutine, and owns data. ctx ends when the asker's time is
// over, and when this node leaves; not when the asker gives up before that. from is the id of the node that asks; it may be this one.
// A Handler that panics answers an error.
type Handler func(ctx context.Context, from string, data []byte) ([]byte, error)

// A RemoteError is what another node answers when it does not answer the question. It is [ErrBusy] or [ErrUnknownKind], too,
// if that is why.
type RemoteError struct {
	Node, Kind string
	Text       string
	is         error
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("cluster: node %s on %q: %s", e.Node, e.Kind, e.Text)
}

// Unwrap gives [ErrBusy], [ErrUnknownKind] or nil.
func (e *RemoteError) Unwrap() error { return e.is }

const maxErrorText = 1024

// handler is one that was given to Handle. busy is guarded by Node.mu.
type handler struct {
	f    Handler
	busy int
}

// A question waits for answers. It is guarded by Node.mu, but for what is set before it can be answered.
type question struct {
	kind    string
	asked   []string            // nodes
	waiting map[string]struct{} // of asked
	answers map[string][]byte
	errs    map[string]error
	err     error
	done    chan struct{}
}

// Handle has f answer the questions of a kind, of which there may be [Options.MaxAtOnce] at a time. kind is a word of up to 64
// bytes. It replaces what was there for kind.
func (n *Node) Handle(kind string, f Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[kind] = &handler{f: f}
}

// Ask asks one node, this one too. The error is [ErrNoNode] at once for a node that is not there, [ErrGone] when it goes
// meanwhile, a *[RemoteError] if it answers with one, that of ctx, or one of the bus. The caller owns the answer. Data and answer are
// bounded by what the bus takes in a message.
func (n *Node) Ask(ctx context.Context, node, kind string, data []byte) ([]byte, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	q, number, err := n.pose(ctx, node, kind, data)
	if err != nil {
		return nil, err
	}
	defer n.forget(number)
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if q.err != nil {
		return nil, q.err
	}
	if err := q.errs[node]; err != nil {
		return nil, err
	}
	return q.answers[node], nil
}

// AskAll asks all other nodes that are there, and waits for their answers, but not for who goes meanwhile, and no longer than
// ctx. missing are those that did not answer, or with an error, in order. err says why nobody was asked. The caller owns the answers.
func (n *Node) AskAll(ctx context.Context, kind string, data []byte) (answers map[string][]byte, missing []string, err error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	q, number, err := n.pose(ctx, "", kind, data)
	if err != nil || q == nil {
		return nil, nil, err
	}
	defer n.forget(number)
	select {
	case <-q.done:
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if q.err != nil {
		return nil, nil, q.err
	}
	q.waiting = nil // the answers are the caller's now
	for _, id := range q.asked {
		if _, ok := q.answers[id]; !ok {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return q.answers, missing, nil
}

// Tell tells all other nodes something, without an answer, and without an order: who needs one listens on the bus.
func (n *Node) Tell(kind string, data []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.request(context.Background(), subjectAll, typeTell, kind, data)
	return err
}

// TellNode tells one node something, as [Node.Tell]. The error is [ErrNoNode] for one that is not there.
func (n *Node) TellNode(node, kind string, data []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.has(node) {
		return fmt.Errorf("%w: %q", ErrNoNode, node)
	}
	_, err := n.request(context.Background(), subjectNode+node, typeTell, kind, data)
	return err
}

// has is whether a node is there. n.mu is held.
func (n *Node) has(node string) bool {
	p := n.peers[node]
	return p != nil && p.known || node == n.ID()
}

func (n *Node) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, n.o.AskTimeout)
}

// pose asks one node, or all where node is "": nil: there are none.
func (n *Node) pose(ctx context.Context, node, kind string, data []byte) (*question, uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := &question{kind: kind, waiting: make(map[string]struct{}), answers: make(map[string][]byte), errs: make(map[string]error),
		done: make(chan struct{})}
	subject := subjectAll
	switch {
	case n.left:
		return nil, 0, ErrClosed
	case node == "":
		for id, p := range n.peers {
			if p.known {
				q.asked = append(q.asked, id)
			}
		}
		if len(q.asked) == 0 {
			return nil, 0, nil
		}
	case !n.has(node):
		return nil, 0, fmt.Errorf("%w: %q", ErrNoNode, node)
	default:
		q.asked, subject = []string{node}, subjectNode+node
	}
	for _, id := range q.asked {
		q.waiting[id] = struct{}{}
	}
	number, err := n.request(ctx, subject, typeAsk, kind, data)
	if err != nil {
		return nil, 0, err
	}
	n.questions[number] = q
	return q, number, nil
}

func (n *Node) forget(number uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.questions, number)
}

// request sends one, in the order of the numbers. n.mu is held.
func (n *Node) request(ctx context.Context, subject string, t messageType, kind string, data []byte) (number uint64, err error) {
	if kind == "" || len(kind) > maxKind {
		return 0, fmt.Errorf("%w: %q", ErrName, kind)
	}
	n.number++
	r := request{number: n.number, kind: kind, data: data}
	if deadline, ok := ctx.Deadline(); ok {
		r.timeout = milliseconds(time.Until(deadline))
	}
	n.count.asked.Add(1)
	return r.number, n.send(subject, t, appendRequest(make([]byte, 0, 13+len(kind)+len(data)), r))
}

// answered takes the answer of a node. Node.mu is held.
func (q *question) answered(node string, s status, data []byte) {
	if _, ok := q.waiting[node]; !ok {
		return
	}
	if s == statusOK {
		q.answers[node] = bytes.Clone(data)
	} else {
		e := &RemoteError{Node: node, Kind: q.kind, Text: string(data[:min(len(data), maxErrorText)])}
		switch s {
		case statusBusy:
			e.is, e.Text = ErrBusy, ErrBusy.Error()
		case statusUnknown:
			e.is, e.Text = ErrUnknownKind, ErrUnknownKind.Error()
		}
		q.errs[node] = e
	}
	q.less(node)
}

// lose waits no more for a node that has gone. Node.mu is held.
func (q *question) lose(node string) {
	if _, ok := q.waiting[node]; ok {
		q.errs[node] = fmt.Errorf("%w: %q", ErrGone, node)
		q.less(node)
	}
}

func (q *question) less(node string) {
	delete(q.waiting, node)
	if len(q.waiting) == 0 {
		close(q.done)
	}
}

// fail ends the question. Node.mu is held.
func (q *question) fail(err error) {
	if len(q.waiting) > 0 {
		q.err, q.waiting = err, nil
		close(q.done)
	}
}

func (n *Node) takeAnswer(h header, rest []byte) bool {
	number, s, data, ok := parseAnswer(rest)
	if !ok {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sender(h) == nil {
		return true
	}
	if q := n.questions[number]; q != nil {
		q.answered(h.from, s, data)
	}
	return true
}
