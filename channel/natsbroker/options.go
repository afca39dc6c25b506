package natsbroker

import (
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// What can be wrong. Each is what [errors.Is] compares with; the errors themselves say more.
var (
	// ErrAway means that NATS did not answer in time, or not at all. What was to be appended is not there, unless the error
	// matches channel.ErrUncertain, too.
	ErrAway = errors.New("channel/natsbroker: NATS is away")
	// ErrBusy means that more waits for NATS than Options.MaxWaitingBytes.
	ErrBusy = errors.New("channel/natsbroker: too much waits for NATS")
	// ErrTooLarge is a message that is longer than the max_payload of the NATS server, or about 31 MiB, which is as much as JetStream keeps.
	ErrTooLarge = errors.New("channel/natsbroker: the message is longer than NATS takes")
	// ErrDenied means that this user of NATS lacks a permission: the error says which.
	ErrDenied = errors.New("channel/natsbroker: not permitted by NATS")
	// ErrStream means that the stream cannot be made or used as it has to be: the error says why.
	ErrStream = errors.New("channel/natsbroker: the stream")
	// ErrClosed means that the broker was closed.
	ErrClosed = errors.New("channel/natsbroker: the broker is closed")
)

// Options for [Open]. A zero field means the default, which is given with it.
type Options struct {
	// Prefix is what the subjects begin with, and in capitals the name of the stream: words of A-Z, a-z, 0-9, - and _,
	// joined by dots. "baro". Two clusters may share a NATS by it.
	Prefix string
	// Replicas is on how many servers each message is before it is acknowledged; 1, 3 or 5. 1. It is changed where the
	// stream has another number, unless that is 0.
	Replicas int
	// Domain is the JetStream domain. None.
	Domain string
	// Timeout is how long Append waits for an acknowledgement, and Follow, Load and Read for an answer. 5 seconds.
	Timeout time.Duration
	// MaxWaitingBytes is how much may wait for its acknowledgement, each message counted with its event, its id and about
	// 200 bytes for itself. 64 MiB. Beyond it Append fails at once with [ErrBusy].
	MaxWaitingBytes int64
	// MaxTopics is of how many channels that nobody follows the newest message is remembered, each with about 500 bytes. 100,000.
	// Appending to one of the others takes a round trip more.
	MaxTopics int
	// Remember is for how long, after a channel's messages are past their age, its epoch and offset are known nevertheless.
	// An hour. While somebody follows the channel they are always.
	Remember time.Duration
	// MaxBytes is how many bytes the stream may take on each of its servers; beyond it the oldest messages go. No bound.
	MaxBytes int64
	// VerifyEvery is how often followed channels are compared with the stream, should something have been lost on the way
	// that nothing else told of. A minute. Where they are many it takes longer: at most 500 are compared in a second.
	VerifyEvery time.Duration
	// Observe is told how long something took in seconds: "append" from Append to its done, "follow", "load", "read", "catch up". It
	// is called by many goroutines, and must not wait. None.
	Observe func(op string, seconds float64)
	// Clock is that of this process. It may be wrong: messages have the time of NATS, and are as old as that says. [time.Now].
	Clock func() time.Time
	// Logger is told of what was skipped, once a minute, and of the broker going away. [slog.Default].
	Logger *slog.Logger
}

var prefix = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func (o *Options) withDefaults() (Options, error) {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Prefix == "" {
		d.Prefix = "baro"
	}
	if len(d.Prefix) > 64 || !prefix.MatchString(d.Prefix) {
		return d, errors.New("channel/natsbroker: the prefix is not of words that are joined by dots")
	}
	positive(&d.Timeout, 5*time.Second)
	positive(&d.MaxWaitingBytes, 64<<20)
	positive(&d.MaxTopics, 100_000)
	positive(&d.Remember, time.Hour)
	positive(&d.VerifyEvery, time.Minute)
	if d.Observe == nil {
		d.Observe = func(string, float64) {}
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d, nil
}

func positive[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// stream is the name of the stream: dots are not allowed in it.
func (o *Options) stream() string {
	return strings.ToUpper(strings.ReplaceAll(o.Prefix, ".", "_")) + "_CHANNELS"
}
