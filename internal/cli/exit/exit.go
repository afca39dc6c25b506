// Package exit says with what code the command ends: the same for all its parts (docs/cli.md, "Exit codes").
package exit

import (
	"context"
	"errors"
)

// The codes.
const (
	OK          = 0
	Failed      = 1   // what was asked for could not be done
	Usage       = 2   // what was asked for makes no sense
	Unreachable = 3   // nobody could be reached
	Refused     = 4   // the server answered, and refused
	Broken      = 5   // there was a connection, and it broke
	Unmet       = 6   // what was expected did not come
	Interrupted = 130 // by the user (INT), as shells say it
	Terminated  = 143 // by somebody else (TERM), before it was done
)

// coded is an error that says with what code to end.
type coded struct {
	error
	code int
}

func (e *coded) Unwrap() error { return e.error }

// With returns err, which Code then finds code in. nil stays nil.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return &coded{err, code}
}

// Code is the code for err: the outermost one that With has given, Interrupted for a cancelled context, otherwise Failed; OK for nil.
func Code(err error) int {
	if err == nil {
		return OK
	}
	if e, ok := errors.AsType[*coded](err); ok {
		return e.code
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Failed
}
