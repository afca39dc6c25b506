package channel

import (
	"errors"
	"time"
)

// ErrStore means that the store failed: what was published was not saved, and so not published. The error it wraps says
// why.
var ErrStore = errors.New("channel: the store failed")

// A Store keeps what is published beyond the life of the process. A hub without one keeps its histories in memory alone.
//
// The hub is the only user of its store. It calls Save for one channel from one goroutine at a time, and everything else
// from any goroutine. Messages that a store gives belong to the hub, which may share them and never changes them.
type Store interface {
	// Load says what is saved of a channel; the zero Saved where that is nothing. The newest messages come with it, oldest
	// first, at most recent.Count of them and of recent.Bytes.
	Load(name string, recent Keep) (Saved, error)

	// Save has m saved as the newest message of the channel, and older messages dropped that are beyond keep. It does not
	// wait: done is called when the message survives the end of the process, or with the error that kept it from being
	// saved. For one channel done is called in the order of Save, never from within Save; it does not wait. Where a message of
	// a channel failed, those of it that were handed over before done was told fail, too, so that there are never gaps: a
	// message whose offset is not the one after that of the newest saved fails. One of another epoch begins the channel
	// anew: it has the offset 1, and what was saved of the channel is dropped.
	//
	// The store keeps all fields of m that are exported. It must not change m.
	Save(name string, m *Message, keep Keep, done func(error))

	// Read gives the messages after an offset, oldest first and without gaps: those that fit in maxBytes of data, but at
	// least one. There is none where the channel has another epoch, or the message after offset is not kept.
	Read(name, epoch string, after uint64, maxBytes int) ([]*Message, error)

	// Close waits for what is being saved, and ends the store.
	Close() error
}

// Keep bounds what is kept of a channel's messages.
type Keep struct {
	Count int
	Bytes int64 // each message counted with its event, its id and about 200 bytes for itself
	Age   time.Duration
	Last  bool // the newest message is kept whatever its age
}

// Saved is what a store has of a channel.
type Saved struct {
	Epoch  string
	Offset uint64     // of the newest message saved, kept or not
	Count  int        // how many messages are kept, of the newest on
	Bytes  int64      // of those kept
	Recent []*Message // the newest of them
}
