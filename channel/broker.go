package channel

import "time"

// A Broker has channels shared by the hubs of many processes: it chooses the place of each message, keeps what was published,
// and hands to each hub what all of them publish. [Hub.Close] closes it.
//
// The hub is the only user of its broker, and calls it from any goroutine, for one channel Follow and Unfollow in turns. No
// method but Load, Read, Follow and Close waits for the network. Messages that a broker gives are valid, see
// [Message.Validate], and belong to the hub, which may share them and never changes them. Errors it gives are wrapped in [ErrStore].
//
// Feeds, and the functions that are given to Append, take locks that the hub holds when it calls Append or Unfollow: so a broker
// calls them without a lock that these want.
//
// The conformance tests for brokers are in package brokertest.
type Broker interface {
	// Follow has feed handed what is published in a channel after the [Saved] that it returns, by any process, this one too.
	// recent is as for [Store.Load]. The feed may be called before Follow has returned. Where it fails the channel is not
	// followed.
	//
	// A channel that has nothing yet gets an epoch: the Saved has one always, and the same for all that follow the channel,
	// until it begins anew. A broker remembers the epoch and the offset of a channel for longer than what was published there,
	// so that who comes back and has missed nothing is not told otherwise.
	Follow(name string, recent Keep, feed Feed) (Saved, error)
	// Unfollow ends that. The feed may still be called for a moment.
	Unfollow(name string)

	// Append has m put at the end of a channel, which need not be followed, and older messages dropped that are beyond keep,
	// whose Count is not negative: where it is 0 the message is handed to those who follow the channel, and counted, but not
	// kept. done is called once, not from within Append, when the message is where the death of this process does not matter
	// (for what else it survives: see the broker), or with an error; for one channel in the order of Append. It does not
	// wait. The broker keeps all fields of m that are exported but Offset, Epoch and Time, which it chooses, and ID where it
	// is empty: it is the position then. It does not change m, and lets go of it before done, but for the bytes of Data,
	// which nobody changes. A message whose Key is that of one of the channel of the last [KeyAge] is not put there, whichever
	// process that came from.
	//
	// An error that wraps [ErrUncertain] says that the message may be there nevertheless.
	Append(name string, m *Message, keep Keep, done func(Appended, error))

	// Load says what is kept of a channel, as [Store.Load] does. Nothing is missing that any process was told of before, by
	// a feed or as its own.
	Load(name string, recent Keep) (Saved, error)
	// Read gives messages, as [Store.Read] does. Those that keep said are not kept may be among them.
	Read(name, epoch string, after uint64, maxBytes int) ([]*Message, error)

	// Now is the time by the clock that gives messages their Time, as far as it is known: by it the hub counts how old they are.
	Now() time.Time

	// Close waits for what is being put somewhere, and ends the broker: no feed is called any more when it has returned.
	Close() error
}

// Appended is what became of a message that was handed to [Broker.Append].
type Appended struct {
	Message *Message // as it was published; of a duplicate the first one, perhaps without its data
	// Duplicate says that its key was that of an earlier message.
	Duplicate bool
}

// A Feed is handed what happens in a channel that a hub follows. It is called by one goroutine at a time, and does not wait for
// anything but the hub's own locks. What it is called with is shown to the subscribers meanwhile: a broker that feeds channels from
// more than one goroutine has more than one processor work for them.
type Feed interface {
	// Messages gives what was published, in order and without gaps; the first of another epoch has the offset 1, and says that
	// the channel has begun anew and nothing before it was missed. The hub drops those that it has already. The slice is
	// the hub's.
	Messages(messages []*Message)
	// Lost says that messages cannot be had any more which were not handed over, or that the channel has begun anew and
	// nobody knows whether that was all of the old one: it goes on from what is saved. Subscribers are told that they have
	// missed something.
	Lost(saved Saved)
}
