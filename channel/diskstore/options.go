package diskstore

import (
	"errors"
	"log/slog"
	"time"
)

// What can be wrong. Each is what [errors.Is] compares with; the errors themselves say more.
var (
	// ErrBusy means that more waits to be saved than Options.MaxQueueBytes: the disk is slower than the publishers.
	ErrBusy = errors.New("channel/diskstore: too much waits to be saved")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("channel/diskstore: the store is closed")
	// ErrLocked means that another process has the directory open.
	ErrLocked = errors.New("channel/diskstore: in use by another process")
	// ErrNewer means that the file was written by a newer version of this package, whose format this one does not know.
	ErrNewer = errors.New("channel/diskstore: the file is of a newer version")
	// ErrDamaged means that the file holds what nobody wrote. Opening the store again saves what can be read.
	ErrDamaged = errors.New("channel/diskstore: the file is damaged")
	// ErrOffset is a message that does not follow the newest one saved of its channel.
	ErrOffset = errors.New("channel/diskstore: the message does not follow the newest")
	// ErrTooLarge is a message of more than 64 MiB.
	ErrTooLarge = errors.New("channel/diskstore: message too large")
)

// Options for [Open]. A zero field means the default, which is given with it.
type Options struct {
	// NoSync says that a commit is not followed by an fsync. What is acknowledged then survives the end of the process,
	// kill -9 included, but not a power loss, after which the file may be damaged. By default every commit is synced.
	NoSync bool
	// MaxQueueBytes is how much may wait to be saved, each message counted with its event, its id and about 200 bytes for
	// itself. 64 MiB. Beyond it Save fails with [ErrBusy].
	MaxQueueBytes int64
	// SweepEvery is how often all channels are looked through for messages past their age. A minute.
	SweepEvery time.Duration
	// Logger is told of damage, and of commits that fail. [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.MaxQueueBytes <= 0 {
		d.MaxQueueBytes = 64 << 20
	}
	if d.SweepEvery <= 0 {
		d.SweepEvery = time.Minute
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return d
}
