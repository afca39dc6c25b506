package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// takeRequest has the handler of its kind answer a question, if it may.
func (n *Node) takeRequest(h header, rest []byte, all bool) bool {
	r, ok := parseRequest(rest)
	if !ok {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.sender(h)
	if p == nil || n.left {
		return true
	}
	seen := &p.own
	if all {
		seen = &p.all
	}
	if !seen.first(r.number) {
		n.count.twice.Add(1)
		return true
	}
	hd := n.handlers[r.kind]
	if hd == nil || hd.busy >= n.o.MaxAtOnce {
		s := statusUnknown
		if hd != nil {
			s = statusBusy
			n.count.busy.Add(1)
		}
		n.answer(h, r.number, s, nil)
		return true
	}
	hd.busy++
	r.data = bytes.Clone(r.data)
	n.works.Go(func() { n.work(hd, h, r) })
	return true
}

// work is a handler at work.
func (n *Node) work(hd *handler, h header, r request) {
	defer func() {
		n.mu.Lock()
		hd.busy--
		n.mu.Unlock()
	}()
	timeout := n.o.AskTimeout
	if r.timeout > 0 {
		timeout = time.Duration(r.timeout) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(n.ctx, timeout)
	defer cancel()
	data, err := n.handle(ctx, hd, h, r)
	switch {
	case err != nil:
		text := err.Error()
		n.answer(h, r.number, statusError, []byte(text[:min(len(text), maxErrorText)]))
	default:
		n.answer(h, r.number, statusOK, data)
	}
}

func (n *Node) handle(ctx context.Context, hd *handler, h header, r request) (data []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			n.log.Error("a handler of questions panicked", "kind", r.kind, "panic", v)
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return hd.f(ctx, h.from, r.data)
}

func (n *Node) answer(h header, number uint64, s status, data []byte) {
	if h.kind == typeTell {
		return
	}
	err := n.send(subjectNode+h.from, typeAnswer, appendAnswer(nil, number, s, data))
	if errors.Is(err, ErrTooLarge) {
		_ = n.send(subjectNode+h.from, typeAnswer, appendAnswer(nil, number, statusError, []byte("the answer is longer than the bus takes")))
	}
}
