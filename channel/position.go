package channel

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// A Position is a place in a channel: after the message with this offset, in the life of the channel with this epoch.
// Offset 0 is the beginning.
//
// Its written form is EPOCH:OFFSET, or OFFSET alone where the epoch is not known.
type Position struct {
	Epoch  string
	Offset uint64
}

// maxEpochBytes bounds what [ParsePosition] takes for an epoch. Those that a hub makes are shorter.
const maxEpochBytes = 32

// String gives the written form.
func (p Position) String() string {
	if p.Epoch == "" {
		return strconv.FormatUint(p.Offset, 10)
	}
	return string(p.Append(make([]byte, 0, maxEpochBytes)))
}

// Append appends the written form to dst.
func (p Position) Append(dst []byte) []byte {
	if p.Epoch != "" {
		dst = append(dst, p.Epoch...)
		dst = append(dst, ':')
	}
	return strconv.AppendUint(dst, p.Offset, 10)
}

// ParsePosition reads the written form. The error is an [*InvalidError].
func ParsePosition(s string) (Position, error) {
	epoch, offset, found := strings.Cut(s, ":")
	if !found {
		epoch, offset = "", s
	} else if err := validateEpoch(epoch); err != nil {
		return Position{}, err
	}
	// ParseUint takes digits only in base 10, and no sign; the length keeps a megabyte of zeros out.
	n, err := strconv.ParseUint(offset, 10, 64)
	if err != nil || len(offset) > 20 {
		return Position{}, &InvalidError{What: "position", Reason: "it must be OFFSET or EPOCH:OFFSET with a decimal offset"}
	}
	return Position{Epoch: epoch, Offset: n}, nil
}

func validateEpoch(epoch string) error {
	if epoch == "" || len(epoch) > maxEpochBytes {
		return &InvalidError{What: "position", Reason: "an epoch has 1 to " + strconv.Itoa(maxEpochBytes) + " characters"}
	}
	for _, c := range []byte(epoch) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return &InvalidError{What: "position", Reason: "an epoch consists of letters, digits, - and _"}
		}
	}
	return nil
}

// newEpoch makes a word of 65 random bits: two lives of one channel never share it.
func newEpoch() string {
	return rand.Text()[:13]
}

// From says where in a channel a reader begins: [Now], [Last], [Oldest] or [After] a position. The zero From is Now.
type From struct {
	kind     fromKind
	where    looked
	position Position
}

type fromKind uint8

// looked is where a reader's place was looked for already, to no avail.
type looked uint8

const (
	asked    looked = 1 + iota // the channel is where its broker has said that it is
	caughtUp                   // and where it has said so again
	recent                     // the archive has nothing of it: what is in memory is all
)

const (
	fromNow fromKind = iota
	fromLast
	fromOldest
	fromAfter
)

// Now begins with the next message that is published.
func Now() From { return From{} }

// Last begins with the newest message, if one is kept: what a newcomer needs of a channel that tells a state.
func Last() From { return From{kind: fromLast} }

// Oldest begins with the oldest message that is kept.
func Oldest() From { return From{kind: fromOldest} }

// After begins with the message that follows p. Where that one is not to be had the reader is refused with
// [ErrNotRecoverable]: the channel has another epoch than p, has not come as far as p, or no longer keeps all that
// followed. Without an epoch p is taken to be of the channel's present life.
func After(p Position) From { return From{kind: fromAfter, position: p} }

// History says that a reader begins with what was published before it came, and has nothing to show that it was there: from
// [Oldest], or [After] an offset without an epoch, which is easily guessed. A server that lets some read what comes, and fewer
// what there was, asks this.
func (f From) History() bool {
	return f.kind == fromOldest || f.kind == fromAfter && f.position.Epoch == ""
}
