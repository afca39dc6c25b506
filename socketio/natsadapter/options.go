package natsadapter

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Options configure a Cluster. The zero value, and nil, have the defaults.
type Options struct {
	// Prefix is what all subjects begin with: words of A-Z, a-z, 0-9, - and _, joined by dots, 128 bytes at most. Clusters
	// with different ones share a broker and know nothing of each other. "": socketio.
	Prefix string
	// Name is what people call this server, its host for instance. Others see it (Peer.Name). Up to 255 bytes.
	Name string
	// Heartbeat is how often this server says that it is there; all should have the same. 0: 1 s.
	Heartbeat time.Duration
	// DeadAfter is how long another server may be silent until it is not waited for any more. 0: 5 heartbeats.
	DeadAfter time.Duration
	// RequestTimeout is how long answers of other servers are waited for where the context and the operator have no bound. 0: 5 s.
	RequestTimeout time.Duration
	// Linger is how long a room is still heard of when its last socket has left it, since somebody often comes back soon.
	// 0: 2 s; negative: not at all.
	Linger time.Duration
	// MaxPendingBytes bounds what waits to be sent, and what has come and waits to be handled, each. What is more is lost,
	// counted and logged. 0: 64 MiB.
	MaxPendingBytes int
	// MaxMessageBytes bounds one message, both ways. One that is longer than the broker takes at a time is sent in pieces. 0: 16 MiB.
	MaxMessageBytes int
	// Logger is told what goes wrong, the same at most once a minute. nil: slog.Default.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	var set Options
	if o != nil {
		set = *o
	}
	set.Prefix = cmp.Or(set.Prefix, "socketio")
	set.Heartbeat = cmp.Or(set.Heartbeat, time.Second)
	set.DeadAfter = cmp.Or(set.DeadAfter, 5*set.Heartbeat)
	set.RequestTimeout = cmp.Or(set.RequestTimeout, 5*time.Second)
	set.Linger = cmp.Or(set.Linger, 2*time.Second)
	set.MaxPendingBytes = cmp.Or(set.MaxPendingBytes, 64<<20)
	set.MaxMessageBytes = cmp.Or(set.MaxMessageBytes, 16<<20)
	if set.Logger == nil {
		set.Logger = slog.Default()
	}
	switch {
	case !isPrefix(set.Prefix):
		return set, fmt.Errorf("natsadapter: Prefix is not words joined by dots: %q", set.Prefix)
	case set.Heartbeat < 0 || set.RequestTimeout < 0:
		return set, fmt.Errorf("natsadapter: Heartbeat or RequestTimeout is negative")
	case set.DeadAfter < 2*set.Heartbeat:
		return set, fmt.Errorf("natsadapter: DeadAfter is less than two heartbeats")
	case set.MaxPendingBytes < 0 || set.MaxMessageBytes < 0:
		return set, fmt.Errorf("natsadapter: MaxPendingBytes or MaxMessageBytes is negative")
	}
	return set, nil
}
