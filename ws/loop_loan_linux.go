package ws

import (
	"sync"
	"sync/atomic"
)

const (
	// minLoan is from how many bytes on what a read has brought is not copied for the connection's goroutine: the
	// goroutine gets the loop's buffer, and the loop another one.
	minLoan = 32 << 10
	// maxLoans is how many buffers of a loop may be lent: few, so that they stay in the processor's cache, and handlers
	// that take long do not keep much.
	maxLoans = 4
)

// loan is a read buffer of a loop while the goroutine of a connection handles what is in it.
type loan struct {
	buffer []byte
	lender *lender
}

// lender counts the buffers that a loop has lent.
type lender struct{ out atomic.Int32 }

var loans = sync.Pool{New: func() any { return new(loan) }}

// lend gives buffer away and returns another of the same size.
func (l *lender) lend(buffer []byte) (given *loan, other []byte) {
	l.out.Add(1)
	given = loans.Get().(*loan)
	if other = given.buffer; other == nil {
		other = make([]byte, len(buffer))
	}
	given.buffer, given.lender = buffer, l
	return given, other
}

// giveBack ends the loan: its bytes must not be used any more.
func (g *loan) giveBack() {
	g.lender.out.Add(-1)
	g.lender = nil
	loans.Put(g)
}
