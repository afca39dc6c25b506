package channel

import (
	"errors"
	"fmt"
)

// What can be wrong. Each is what [errors.Is] compares with; the errors themselves say more.
var (
	// ErrInvalid is a name, an event, an id, a text or a position that breaks the rules: see [InvalidError].
	ErrInvalid = errors.New("channel: invalid")
	// ErrTooLarge is a message of more bytes than [Settings.MaxMessageBytes].
	ErrTooLarge = errors.New("channel: message too large")
	// ErrTooManyChannels means that [Options.MaxChannels] are in use and none of them is idle.
	ErrTooManyChannels = errors.New("channel: too many channels")
	// ErrNotRecoverable means that what follows a position cannot be had, or not all of it: see [NotRecoverableError].
	ErrNotRecoverable = errors.New("channel: not recoverable")
	// ErrUncertain means that nobody knows whether a message was published: the broker did not answer in time. With the same
	// [Message.Key] it can be published again, and is there once.
	ErrUncertain = errors.New("channel: the broker did not say whether the message was published")
	// ErrClosed means that [Hub.Close] was called.
	ErrClosed = errors.New("channel: the hub is closed")
)

// An InvalidError says what breaks the rules, and how. It matches [ErrInvalid].
type InvalidError struct {
	What   string // for instance "channel name"
	Reason string // for instance "it is empty"
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("channel: invalid %s: %s", e.What, e.Reason)
}

// Is makes an InvalidError match [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// A NotRecoverableError says that a channel no longer has, or never had, all that follows a position. It matches
// [ErrNotRecoverable]. A reader that wants to go on begins anew: with [Oldest], or with [Now].
type NotRecoverableError struct {
	Channel string
	After   Position // what the reader asked for
	Last    Position // where the channel stands
	Kept    int      // how many messages up to Last it keeps
}

func (e *NotRecoverableError) Error() string {
	why := fmt.Sprintf("only the last %d messages are kept", e.Kept)
	switch {
	case e.After.Epoch != "" && e.After.Epoch != e.Last.Epoch:
		why = "the channel has begun anew since"
	case e.After.Offset > e.Last.Offset:
		why = "the channel has not come that far"
	}
	return fmt.Sprintf("channel: what follows %s in %q is not recoverable: %s (it stands at %s)", e.After, e.Channel, why, e.Last)
}

// Is makes a NotRecoverableError match [ErrNotRecoverable].
func (e *NotRecoverableError) Is(target error) bool { return target == ErrNotRecoverable }
