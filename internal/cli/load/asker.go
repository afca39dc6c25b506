package load

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A codec is how messages are asked over a connection, and answered.
type codec interface {
	// ask appends a message.
	ask(dst []byte, number uint32, due int64) []byte
	// hear takes what has come and tells a of each answer.
	hear(b []byte, now int64, a *asker) error
	goodbye() []byte
}

// An asker sends messages over a connection, each of which is to be answered: by an echo, by an acknowledgement, by a response.
type asker struct {
	conn  *conn
	codec codec
	// publishes: deliveries are what is measured, the answers are beside it.
	publishes bool
	// anyOrder: answers that overtake each other are as they should be.
	anyOrder bool
	closed   bool // a closed loop: it asks again when it has been answered
	limit    int  // how many messages may wait for their answers, those that wait to be sent included
	wire     int  // how many of them may have been sent

	started bool
	dues    []int64 // of messages head to next, by the low bits of their numbers; answeredAlready
	head    uint32  // the oldest one that waits for an answer
	sent    uint32  // the next one to be sent
	next    uint32  // the next number
	highest uint32  // one more than the highest that was answered
}

const answeredAlready = -1

func (a *asker) hear(b []byte, now int64) error {
	if err := a.codec.hear(b, now, a); err != nil {
		return err
	}
	if a.closed && a.started {
		a.refill(now)
	} else if a.sent != a.next {
		a.flush(now)
	}
	return nil
}

func (a *asker) goodbye() []byte { return a.codec.goodbye() }

// ended counts what will not be answered any more.
func (a *asker) ended(err error) {
	if err == nil {
		return
	}
	a.conn.worker.errors.add(err)
	a.giveUp(0)
}

// giveUp counts what has not been answered as lost. What waited until now is measured as if the answer had come: the latency
// is at least that; with 0 it is not.
func (a *asker) giveUp(now int64) {
	t := a.conn.worker.tally
	for ; a.head != a.next; a.head++ {
		due := a.dues[a.slot(a.head)]
		if due == answeredAlready {
			continue
		}
		if a.before(a.head, a.sent) {
			t.lost++
		} else {
			t.unsent++
		}
		if now != 0 && due >= t.from && due < t.to {
			record(a.latency(), now-due)
		}
	}
	a.sent = a.next
}

func (a *asker) latency() *hdrhistogram.Histogram {
	if a.publishes {
		return a.conn.worker.tally.answers
	}
	return a.conn.worker.tally.latency
}

func (a *asker) slot(number uint32) int { return int(number) & (len(a.dues) - 1) }

// before compares numbers, which may have begun anew.
func (a *asker) before(n, m uint32) bool { return int32(n-m) < 0 }

func (a *asker) waiting() int { return int(a.next - a.head) }

// add takes a message on that is due. ok is false if there are too many.
func (a *asker) add(due int64) (ok bool) {
	n := a.waiting()
	if n >= a.limit || a.conn.over {
		return false
	}
	if n == len(a.dues) {
		a.grow()
	}
	a.dues[a.slot(a.next)] = due
	a.next++
	return true
}

func (a *asker) grow() {
	old, size := a.dues, max(8, 2*len(a.dues))
	a.dues = make([]int64, size)
	for n := a.head; n != a.next; n++ {
		a.dues[a.slot(n)] = old[int(n)&(len(old)-1)]
	}
}

// refill asks as many as are to be in flight in a closed loop.
func (a *asker) refill(now int64) {
	if now < a.conn.worker.tally.to {
		for a.add(now) {
		}
	}
	a.flush(now)
}

// flush sends what may be sent.
func (a *asker) flush(now int64) {
	if a.sent == a.next {
		return
	}
	w := a.conn.worker
	b := w.scratch[:0]
	for a.sent != a.next && int(a.sent-a.head) < a.wire && len(b)+len(a.conn.out) <= maxUnsent {
		due := a.dues[a.slot(a.sent)]
		if !a.closed && due >= w.tally.from {
			record(w.tally.late, now-due)
		}
		b = a.codec.ask(b, a.sent, due)
		a.sent++
		w.tally.sent++
	}
	w.scratch = b
	if len(b) > 0 {
		a.conn.send(b)
	}
}

// oldest is the number of the message that is to be answered next where answers come in order. ok is false if none is.
func (a *asker) oldest() (number uint32, ok bool) {
	for a.head != a.sent && a.dues[a.slot(a.head)] == answeredAlready {
		a.head++
	}
	return a.head, a.head != a.sent
}

// answered takes an answer.
func (a *asker) answered(number uint32, now int64) error {
	t := a.conn.worker.tally
	due, fresh, err := a.settle(number)
	if err != nil || !fresh {
		return err
	}
	if a.before(number, a.highest) {
		if !a.anyOrder {
			t.reordered++
		}
	} else {
		a.highest = number + 1
	}
	if due >= t.from && due < t.to {
		t.answered++
	}
	if a.publishes {
		if due >= t.from && due < t.to {
			record(t.answers, now-due)
		}
	} else {
		t.came(due, now)
	}
	return nil
}

// failed takes an answer that says that there is none.
func (a *asker) failed(number uint32, err error) error {
	_, fresh, wrong := a.settle(number)
	if wrong == nil && fresh {
		a.conn.worker.errors.add(err)
	}
	return wrong
}

// settle has a message wait no more, and returns when it was due. fresh is false if it has been answered before.
func (a *asker) settle(number uint32) (due int64, fresh bool, err error) {
	if !a.before(number, a.sent) {
		return 0, false, fmt.Errorf("an answer to a message that was not sent")
	}
	if a.before(number, a.head) || a.dues[a.slot(number)] == answeredAlready {
		a.conn.worker.tally.duplicated++
		return 0, false, nil
	}
	due = a.dues[a.slot(number)]
	a.dues[a.slot(number)] = answeredAlready
	for a.head != a.sent && a.dues[a.slot(a.head)] == answeredAlready {
		a.head++
	}
	return due, true, nil
}

// A schedule is an open loop: it has a worker's askers send at a rate, in turn, whether or not they have been answered.
type schedule struct {
	worker   *worker
	askers   []*asker
	begin    int64
	interval float64 // nanoseconds
	count    int64   // messages that were due
}

// left is how many messages are due, up to a time, that have not been taken on.
func (s *schedule) left(now int64) (n int64) {
	for s.at(s.count+n) < min(now, s.worker.tally.to) {
		n++
	}
	return n
}

func (s *schedule) at(count int64) int64 { return s.begin + int64(float64(count)*s.interval) }

func (s *schedule) due(now int64) (next int64) {
	to := s.worker.tally.to
	for {
		due := s.at(s.count)
		if due >= to {
			return never
		}
		if due > now {
			return due
		}
		a := s.askers[s.count%int64(len(s.askers))]
		s.count++
		if !a.add(due) {
			if due >= s.worker.tally.from {
				s.worker.tally.unsent++
			}
			continue
		}
		a.flush(now)
	}
}
