package cluster

import (
	"context"
	"time"
)

// A Shelf keeps small things beyond the life of a process, for all of the cluster: the calls that wait for a device, for
// instance. Shelf names and keys are any strings of up to 255 bytes. All methods may be called from any goroutine, and wait
// for the broker, but no longer than ctx.
type Shelf interface {
	// Put keeps value for as long as ttl, in place of what was there.
	Put(ctx context.Context, shelf, key string, value []byte, ttl time.Duration) error
	// List gives what is on a shelf, by key.
	List(ctx context.Context, shelf string) (map[string][]byte, error)
	// Take gives what is there and removes it: of many who take the same thing one gets it. It is false for the others.
	Take(ctx context.Context, shelf, key string) ([]byte, bool, error)
}
