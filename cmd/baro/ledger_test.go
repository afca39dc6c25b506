package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"baro.dev/channel"
)

// body is what the i-th message of a publisher says: some are short, some are longer, one in four is binary.
func body(publisher, i int) (data []byte, binary bool) {
	text := fmt.Sprintf("%d/%d/", publisher, i)
	return append([]byte(text), strings.Repeat("메", (publisher*7+i*13)%200)...), i%4 == 3
}

// A ledger is what one client has seen: of one channel every message, in order, once.
type ledger struct {
	mu    sync.Mutex
	last  channel.Position
	seen  [][]uint64 // the offsets of each publisher's messages
	whole func(*ledger) bool
	wrong error
}

// newLedger is whole when there are as many messages of each publisher.
func newLedger(publishers, each int) *ledger {
	return &ledger{seen: make([][]uint64, publishers), whole: func(l *ledger) bool {
		for _, offsets := range l.seen {
			if len(offsets) < each {
				return false
			}
		}
		return true
	}}
}

// take enters a message, and says whether there is more to come.
func (l *ledger) take(m channel.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong = l.enter(m); l.wrong != nil {
		return false
	}
	return !l.whole(l)
}

func (l *ledger) enter(m channel.Message) error {
	if m.Offset != l.last.Offset+1 || l.last.Epoch != "" && m.Epoch != l.last.Epoch {
		return fmt.Errorf("after %v comes %v", l.last, m.Position())
	}
	var publisher, i int
	if _, err := fmt.Sscanf(string(m.Data), "%d/%d/", &publisher, &i); err != nil || publisher >= len(l.seen) {
		return fmt.Errorf("%v says %.40q", m.Position(), m.Data)
	}
	data, binary := body(publisher, i)
	if i != len(l.seen[publisher]) || m.Binary != binary || !bytes.Equal(bytes.TrimRight(m.Data, " "), data) {
		return fmt.Errorf("%v is message %d of publisher %d, with %d due, binary: %v, %.40q", m.Position(), i, publisher, len(l.seen[publisher]), m.Binary, m.Data)
	}
	l.seen[publisher] = append(l.seen[publisher], m.Offset)
	l.last = m.Position()
	return nil
}

// after is where the client goes on.
func (l *ledger) after() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.Offset == 0 {
		return "oldest"
	}
	return l.last.String()
}

// check compares with what was acknowledged: a publisher's messages by their places.
func (l *ledger) check(acknowledged [][]channel.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong != nil {
		return l.wrong
	}
	if !l.whole(l) {
		return errors.New("it has not come to the end")
	}
	for p, positions := range acknowledged {
		if len(l.seen[p]) != len(positions) {
			return fmt.Errorf("of publisher %d it saw %d messages, %d were acknowledged", p, len(l.seen[p]), len(positions))
		}
		for i, at := range positions {
			if at.Epoch != l.last.Epoch || at.Offset != l.seen[p][i] {
				return fmt.Errorf("message %d of publisher %d was acknowledged at %v, and came at %d of %s", i, p, at, l.seen[p][i], l.last.Epoch)
			}
		}
	}
	return nil
}
