package natsadapter

import (
	"errors"
	"slices"
)

// maxPiece is how long a piece of a message is, if the broker takes so much.
const maxPiece = 512 << 10

// pieces puts together what came in pieces. Those of one sender come one behind the other. Where there is no room for more it drops the
// messages that wait for their next piece for longest: their senders may have died. Only one goroutine uses it.
type pieces struct {
	max   int // bytes of one message, and of all that are not complete
	bytes int
	came  uint64
	all   map[string]*pieced // by sender
}

type pieced struct {
	number, next, count uint64
	came                uint64 // which of all pieces its last one was
	body                []byte
}

var (
	errPiece  = errors.New("the one before it is missing")
	errPieces = errors.New("the message is too long")
)

// add takes a piece and returns the message when it is complete. Memory grows with what comes, not with what is announced.
func (p *pieces) add(f *frame) (whole []byte, err error) {
	number, at, count := f.numbers[0], f.numbers[1], f.numbers[2]
	m := p.all[f.sender]
	if at == 0 {
		p.drop(f.sender)
		if len(p.all) >= maxSenders {
			p.dropOldest(f.sender)
		}
		m = &pieced{number: number, count: count}
		p.all[f.sender] = m
	}
	switch {
	case m == nil:
		return nil, errPiece
	case m.number != number || m.next != at || m.count != count || at >= count:
		p.drop(f.sender)
		return nil, errPiece
	case len(m.body)+len(f.body) > p.max:
		p.drop(f.sender)
		return nil, errPieces
	}
	for p.bytes+len(f.body) > p.max {
		p.dropOldest(f.sender)
	}
	p.came++
	m.came = p.came
	m.next++
	m.body = append(m.body, f.body...)
	p.bytes += len(f.body)
	if m.next < m.count {
		return nil, nil
	}
	p.drop(f.sender)
	return m.body, nil
}

func (p *pieces) drop(sender string) {
	if m := p.all[sender]; m != nil {
		p.bytes -= len(m.body)
		delete(p.all, sender)
	}
}

// dropOldest drops what waits for longest, but for that of one sender.
func (p *pieces) dropOldest(but string) {
	oldest := ""
	for sender, m := range p.all {
		if sender != but && (oldest == "" || m.came < p.all[oldest].came) {
			oldest = sender
		}
	}
	p.drop(oldest)
}

// cut makes pieces of a message that is too long for the broker. On several subjects they would come several times: what
// is for several rooms goes to all.
func (c *Cluster) cut(f frame, to string, size int) []outgoing {
	body := f.body
	count := (len(body) + size - 1) / size
	all := make([]outgoing, 0, count)
	f.form, f.numbers = piece, [3]uint64{c.number.Add(1), 0, uint64(count)}
	for part := range slices.Chunk(body, size) {
		f.body = part
		all = append(all, outgoing{subject: to, data: f.bytes()})
		f.numbers[1]++
	}
	return all
}
