package payload

import (
	"errors"
	"fmt"
)

// What may be wrong with a payload or a packet. They come wrapped in an [*Error].
var (
	ErrEmpty     = errors.New("empty packet")
	ErrType      = errors.New("unknown packet type")
	ErrBase64    = errors.New("malformed base64")
	ErrUTF8      = errors.New("text that is not UTF-8")
	ErrLength    = errors.New("malformed length")
	ErrTruncated = errors.New("the payload ends within a packet")
	ErrBinary    = errors.New("binary out of place")
	ErrForm      = errors.New("malformed form")
)

// Error is a payload or a packet that cannot be decoded.
type Error struct {
	Err    error  // which of the errors above it is
	Packet int    // the packet at fault, counted from 0
	Offset int    // the byte at fault, counted from the start of the body as it came
	Detail string // what is there, in printable ASCII; may be empty
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("packet %d, byte %d: %v", e.Packet, e.Offset, e.Err)
	}
	return fmt.Sprintf("packet %d, byte %d: %v: %s", e.Packet, e.Offset, e.Err, e.Detail)
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

func fault(err error, offset int, detail string) *Error {
	return &Error{Err: err, Offset: offset, Detail: detail}
}

// quoteByte shows c, which may be anything.
func quoteByte(c byte) string {
	if c < ' ' || c > '~' {
		return fmt.Sprintf("0x%02x", c)
	}
	return fmt.Sprintf("%q", rune(c))
}
