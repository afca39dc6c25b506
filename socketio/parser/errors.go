package parser

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong. Each is what [errors.Is] compares with; the errors themselves say more.
var (
	// ErrProtocol is a packet that breaks the protocol: every [*Error] matches it.
	ErrProtocol = errors.New("parser: protocol violation")
	// ErrTooLarge is a packet that is larger than [Limits] allow, or has more attachments.
	ErrTooLarge = errors.New("parser: too large")
	// ErrMissing is an argument that was asked for and that the packet does not have.
	ErrMissing = errors.New("parser: missing")
)

// A Part is a part of a packet, as errors name it.
type Part string

// The parts, in the order in which they come.
const (
	PartMessage     Part = "message"
	PartType        Part = "packet type"
	PartAttachments Part = "number of attachments"
	PartNamespace   Part = "namespace"
	PartID          Part = "acknowledgement id"
	PartPayload     Part = "payload"
	PartEventName   Part = "event name"
	PartPlaceholder Part = "placeholder"
	PartAttachment  Part = "attachment"
)

// An Error says which part of a packet breaks the protocol, and how. It matches [ErrProtocol], and [ErrTooLarge] if a
// limit was passed.
type Error struct {
	Part   Part
	Offset int // the byte of the packet's first message at which the part stands or breaks; -1: not in there
	Reason string
	Err    error // what lies beneath, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "parser: %s", e.Part)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at byte %d", e.Offset)
	}
	return b.String() + ": " + e.Reason
}

// Is makes an Error match [ErrProtocol].
func (e *Error) Is(target error) bool { return target == ErrProtocol }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// An ArgumentError says which argument could not be encoded, or not be decoded into what was given for it.
type ArgumentError struct {
	Index int // from 0; the name of an event does not count
	Err   error
}

func (e *ArgumentError) Error() string {
	return fmt.Sprintf("parser: argument %d: %s", e.Index, strings.TrimPrefix(e.Err.Error(), "parser: "))
}

// Unwrap returns e.Err.
func (e *ArgumentError) Unwrap() error { return e.Err }
