package connect

import (
	"regexp"
	"time"

	"baro.dev/internal/cli/connection"
)

// Format says how messages are written as lines.
type Format string

// The formats.
const (
	Text   Format = "text"   // a line in is a text message; a message out is as it came
	Binary Format = "binary" // the same, but what is sent is binary
	Base64 Format = "base64" // binary messages, and all that come, as base64
	Hex    Format = "hex"    // the same, in hexadecimal
	JSON   Format = "json"   // an object a line, exactly what passes
)

// Options say what to do with a connection.
type Options struct {
	Connection *connection.Options
	Format     Format // "": Text
	// Null ends messages with a NUL instead of a newline, in and out: then they may have newlines themselves.
	Null bool
	// Timestamps writes before each message when it came, in UTC. Objects of JSON have it always.
	Timestamps bool

	// Messages are sent first; where there are some, no input is read.
	Messages []string
	// Expect are patterns that messages have to match, one after the other; then it is over.
	Expect []*regexp.Regexp
	// Count is after how many messages it is over. 0: they are not counted.
	Count int64
	// Timeout is after which time it is over. 0: never.
	Timeout time.Duration
	// Wait is how long no message may come after the input has ended, until it is over. Without any input it is not over by that. 0: at once;
	// negative: never.
	Wait time.Duration

	// Frames writes each frame of WebSocket to the errors' output, Verbose what happens to the connection, Stats how much has passed.
	Frames, Verbose, Stats bool
}

// DefaultWait is how long answers are waited for.
const DefaultWait = time.Second
