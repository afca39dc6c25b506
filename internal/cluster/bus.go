package cluster

import "errors"

// Errors of a bus.
var (
	ErrAway     = errors.New("cluster: the broker is away")
	ErrTooLarge = errors.New("cluster: a message is longer than the broker takes")
	ErrClosed   = errors.New("cluster: closed")
)

// A Bus carries messages between the processes of a cluster, over a broker: each at most once, and those of one process on one
// subject in the order in which they were sent. What is sent while the broker is away is lost, or late; whoever needs to
// know is told by OnGap.
//
// A subject is words of A-Z, a-z, 0-9, - and _ that are joined by dots: [Word] makes one of any name. All of a bus is within the
// prefix that it was made with, so that two clusters may share a broker.
//
// All methods may be called from any goroutine, and none waits for the network, but Close.
type Bus interface {
	// Publish sends data to all who listen for a subject, this process too. The bus copies the data. The error is [ErrAway],
	// [ErrTooLarge] or [ErrClosed].
	Publish(subject string, data []byte) error
	// Listen has f called with what comes, one message after the other; it should not wait. data is lent until f returns.
	// stop ends it: f may be under way then, and is not called again. What was on its way as listening began may come. Where the
	// broker is away listening begins when it is back.
	Listen(subject string, f func(data []byte)) (stop func(), err error)
	// OnGap has f called when messages may have been lost: the broker was away and is back, or more came than was taken.
	OnGap(f func())
	// MaxBytes is how long the data of a message may be.
	MaxBytes() int
	// Err says why nothing gets through at the moment; nil: it does.
	Err() error
	// Close ends the bus; what was sent before has left then, if it could.
	Close() error
}
