package redisbroker

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"baro.dev/internal/cluster/redislink"
)

// What can be wrong. Each is what [errors.Is] compares with; the errors themselves say more.
var (
	// ErrAway means that Redis did not answer in time, or refuses to work for now. What was published was not put anywhere,
	// unless the error is channel.ErrUncertain, too.
	ErrAway = errors.New("channel/redisbroker: Redis is away")
	// ErrRefused means that Redis refused a command: no memory, no permission, a wrong password.
	ErrRefused = errors.New("channel/redisbroker: Redis refuses")
	// ErrBusy means that more waits to be published than Options.MaxQueueBytes: Redis is slower than the publishers, or away.
	ErrBusy = errors.New("channel/redisbroker: too much waits to be published")
	// ErrTooLarge is a message of more than Options.MaxMessageBytes.
	ErrTooLarge = errors.New("channel/redisbroker: message too large")
	// ErrNewer means that a channel was written by a newer version of this package, whose format this one does not know.
	ErrNewer = errors.New("channel/redisbroker: written by a newer version")
	// ErrClosed means that the broker was closed.
	ErrClosed = errors.New("channel/redisbroker: the broker is closed")
	// ErrOptions is a mistake in [Options].
	ErrOptions = errors.New("channel/redisbroker: invalid options")
)

// Options for [Open]. A zero field means the default, which is given with it.
type Options struct {
	// Prefix begins the names of all keys, and of all channels of Pub/Sub: brokers with different ones share a Redis and do not
	// meet. It is up to 64 bytes without braces and control characters; brokers of different versions of a cluster share it.
	// "baro:".
	Prefix string
	// Timeout is how long a message waits for Redis to take it, and then again for its answer. 5 s. Publishing
	// fails then with [ErrAway].
	Timeout time.Duration
	// MaxQueueBytes is how much may wait for Redis, each message counted with about 200 bytes for itself. 64 MiB. Beyond it
	// Append fails with [ErrBusy].
	MaxQueueBytes int64
	// MaxMessageBytes is how long a message may be, with all its fields; longer ones that come from Redis are
	// skipped. 16 MiB.
	MaxMessageBytes int
	// Remember is how long a channel that nobody follows keeps its epoch and its offset after the last message, at least; what
	// it keeps for longer anyway by its rules has them as long. An hour. Who comes back later is told that
	// the channel has begun anew.
	Remember time.Duration
	// CheckEvery is how often each channel that is followed is compared with Redis, for what Pub/Sub may have lost without a
	// word. 30 s.
	CheckEvery time.Duration
	// Replicas is how many replicas must have a message, too, before it is acknowledged (WAIT). 0. Where fewer have it within
	// Timeout the error is channel.ErrUncertain.
	Replicas int
	// Connections is how many connections listen, to each master of a cluster, and so how many goroutines feed. 2.
	Connections int
	// Pipelines is how many connections publish, to each master of a cluster. 2.
	Pipelines int
	// Unsharded has a Redis Cluster use PUBLISH, which all of its nodes hear, for clusters of Redis before 7. Brokers that are to hear
	// each other have the same.
	Unsharded bool
	// Observe is told how long things took; it does not wait, and is called by several goroutines. None.
	Observe func(Observation)
	// Clock is that of this process. It may be wrong: messages have the time of Redis, and are as old as that says. [time.Now].
	Clock func() time.Time
	// Logger is told what is wrong. [slog.Default].
	Logger *slog.Logger
}

// An Observation is what was asked of Redis, and how that went.
type Observation struct {
	// Op is append, load, read or check.
	Op string
	// Count is how many messages, or channels to check, it was about.
	Count int
	// Took is the time from the oldest Append to the answer, else from question to answer.
	Took time.Duration
	Err  error
}

func (o *Options) withDefaults() (Options, error) {
	var d Options
	if o != nil {
		d = *o
	}
	setDefault(&d.Prefix, "baro:")
	setDefault(&d.Timeout, 5*time.Second)
	setDefault(&d.MaxQueueBytes, 64<<20)
	setDefault(&d.MaxMessageBytes, 16<<20)
	setDefault(&d.Remember, time.Hour)
	setDefault(&d.CheckEvery, 30*time.Second)
	setDefault(&d.Connections, 2)
	setDefault(&d.Pipelines, 2)
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Observe == nil {
		d.Observe = func(Observation) {}
	}
	if !redislink.ValidPrefix(d.Prefix) {
		return d, fmt.Errorf("%w: the prefix %q", ErrOptions, d.Prefix)
	}
	if d.Timeout < 0 || d.MaxQueueBytes < 0 || d.MaxMessageBytes < 0 || d.Remember < 0 || d.CheckEvery < 0 || d.Connections < 0 || d.Pipelines < 0 || d.Replicas < 0 {
		return d, fmt.Errorf("%w: a negative number", ErrOptions)
	}
	return d, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
